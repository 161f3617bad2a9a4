# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from ubypass.device.types import Path
from ubypass.engine.rests import Rests


def _path(start: int, length: int) -> Path:
    return Path(start, None, tuple(range(start, start + length)))


def test_a_rest_is_worth_one_build() -> None:
    rests = Rests()
    assert rests.add(_path(0x3000, 4), (), may_end=True)
    assert not rests.add(_path(0x3000, 4), (), may_end=True)
    assert rests.instructions == {0x3000, 0x3001, 0x3002, 0x3003}
    # All of it is on another path already.
    assert not rests.add(_path(0x3001, 3), (), may_end=True)
    assert not rests.add(_path(0x5000, 2), {0x5000, 0x5001}, may_end=True)
    assert set(rests.rare) == {0x3000}


def test_a_long_rest_is_a_dead_end() -> None:
    rests = Rests(longest=4)
    assert not rests.add(_path(0x3000, 5), (), may_end=True)
    assert not rests.add(_path(0x4000, 5), (), may_end=False)
    assert rests.add(_path(0x5000, 5), {0x5003}, may_end=True)
    assert (set(rests.dead_ends), set(rests.rare)) == ({0x3000}, {0x5000})
    assert rests.instructions == set(range(0x5000, 0x5005))


def test_frequent_ones_are_taken_out() -> None:
    rests = Rests(longest=4)
    rare, long = _path(0x3000, 3), _path(0x4000, 5)
    for path in (rare, long, _path(0x5000, 5)):
        rests.add(path, (), may_end=True)
    assert rests.take({0x9000}) == []
    assert rests.take({0x3000, 0x4000}) == [rare, long]
    assert (set(rests.dead_ends), set(rests.rare)) == ({0x5000}, set())


def test_they_are_bounded_inherited_and_forgotten_with_their_code() -> None:
    rests = Rests(longest=4, most=1)
    for start in (0x3000, 0x4000):
        rests.add(_path(start, 3), (), may_end=True)
        rests.add(_path(start + 0x100, 5), (), may_end=True)
    assert (set(rests.rare), set(rests.dead_ends)) == ({0x3000}, {0x3100})
    child = rests.inherited()
    rests.forget_unless(lambda ip: False)
    assert (rests.rare, rests.dead_ends) == ({}, {})
    assert (set(child.rare), set(child.dead_ends)) == ({0x3000}, {0x3100})
