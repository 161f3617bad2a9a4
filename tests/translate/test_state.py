# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from ubypass.translate.state import Loc, State, serves, shifted, union, within


def test_intervals() -> None:
    assert shifted((0, 8), -8) == (-8, 0)
    assert shifted(None, 8) is None
    assert shifted((0, 0), 1 << 40) is None
    assert union((0, 0), (-8, 16)) == (-8, 16)
    assert union(None, (0, 0)) is None
    assert within((0, 0), (-8, 8))
    assert not within((0, 16), (-8, 8))
    assert not within(None, (0, 0))
    assert within(None, None)


def test_guard() -> None:
    below, above = -(2 << 20), 2 << 30
    assert serves((0, 0), below, 8)
    assert not serves((-1, 0), below, 8)
    assert serves((0, 0), above - 8, 8)
    assert not serves((0, 1), above - 8, 8)
    assert not serves(None, 0, 1)


def test_copies_are_independent() -> None:
    one = State()
    two = one.copy()
    assert one.key() == two.key()
    two.written(3, (0, 0))
    assert one.key() != two.key()
    assert one.loc[3] == Loc.M
