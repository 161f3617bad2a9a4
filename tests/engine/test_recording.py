# SPDX-License-Identifier: GPL-2.0-only
"""Tests of ubypass.engine.recording."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.fakes import FakeMemory
from ubypass.abi import Abi
from ubypass.engine.build import Builder
from ubypass.engine.built import NothingToBuild
from ubypass.engine.knowledge import HotSite, Knowledge
from ubypass.engine.recording import Recorder, replays
from ubypass.errors import UbError

# 1000 syscall; 1002 inc rbx; 1005 mov eax, 39; 100a jmp 1000
_CODE = {0x1000: bytes.fromhex("0f0548ffc3b827000000ebf4")}
_ABI = Abi(features=frozenset({"bmi2"}))


def _knowledge() -> Knowledge:
    known = Knowledge(entries={0x1002: HotSite(39, [(1, 2)])}, effort=1)
    known.starts[0x1005] = 3
    known.targets[0x100A] = {0x1000: 4}
    known.missed[0x100A] = (5, 6)
    known.samples[0x1002] = 7
    known.stops.add(0x2000)
    known.numbers[0x1002] = 39
    known.trodden |= {0x1002: 3, 0x1005: 1}
    known.jumps[0x100A] = {0x1000: 1}
    known.traced.add(0x1002)
    return known


def test_the_same_comes_out_again(tmp_path: Path) -> None:
    file = tmp_path / "builds"
    builder = Builder(_ABI)
    recorder = Recorder(builder, _ABI, file)
    built = [recorder(_knowledge(), FakeMemory(dict(_CODE))) for _ in range(2)]
    again = list(replays(file))
    assert len(again) == 2
    for one, other in zip(built, again, strict=True):
        assert other.abi == _ABI
        assert other.knowledge == _knowledge()
        assert Builder(other.abi)(other.knowledge, other.memory) == one


def test_a_build_that_came_to_nothing_is_recorded_too(tmp_path: Path) -> None:
    file = tmp_path / "builds"
    recorder = Recorder(Builder(_ABI), _ABI, file)
    with pytest.raises(NothingToBuild):
        recorder(Knowledge(), FakeMemory())
    (again,) = replays(file)
    with pytest.raises(NothingToBuild):
        Builder(again.abi)(again.knowledge, again.memory)


def test_what_was_not_read_is_not_made_up(tmp_path: Path) -> None:
    file = tmp_path / "builds"
    Recorder(Builder(_ABI), _ABI, file)(_knowledge(), FakeMemory(dict(_CODE)))
    (again,) = replays(file)
    with pytest.raises(UbError, match="nothing was recorded of 0x123"):
        again.memory.read(0x123, 4)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UbError, match="cannot read"):
        list(replays(tmp_path / "none"))
    file = tmp_path / "other"
    for text in ("nonsense\n", "[]\n", '{"abi": 1}\n'):
        file.write_text(text)
        with pytest.raises(UbError, match="holds no recorded builds"):
            list(replays(file))
    with pytest.raises(UbError, match="cannot write"):
        Recorder(Builder(_ABI), _ABI, tmp_path)
