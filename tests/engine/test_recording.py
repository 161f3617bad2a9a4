# SPDX-License-Identifier: GPL-2.0-only
"""Tests of ubypass.engine.recording."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.engine.fakes import FakeMemory
from ubypass.abi import Abi, SiteKey
from ubypass.device.types import Path as GapPath
from ubypass.engine.build import Builder
from ubypass.engine.built import NothingToBuild
from ubypass.engine.profile import HotSite, Profile
from ubypass.engine.recording import Recorder, replays
from ubypass.errors import UbError

# 1000 syscall; 1002 inc rbx; 1005 mov eax, 39; 100a jmp 1000
_CODE = {0x1000: bytes.fromhex("0f0548ffc3b827000000ebf4")}
_ABI = Abi(features=frozenset({"bmi2"}))


def _profile() -> Profile:
    known = Profile(entries={SiteKey(0x1002, 39): HotSite([(1, 2)])}, effort=1)
    known.frontiers[0x1005] = 3
    known.branch_targets[0x100A] = {0x1000: 4}
    known.miss_stacks[0x100A] = (5, 6)
    known.samples[0x1002] = 7
    known.barriers.add(SiteKey(0x2000, 232))
    known.count_call(0x1002, 39, 2)
    known.execution_counts |= {0x1002: 3, 0x1005: 1}
    known.traced_jumps[0x100A] = {0x1000: 1}
    known.traced_entries.add(SiteKey(0x1002, 39))
    known.nonpointer_counts[0x1002] = {3: 5}
    known.rests.dead_ends[0x3000] = GapPath(0x3000, None, ())
    known.rests.rare[0x4000] = GapPath(0x4000, None, (0x4000, 0x4003))
    return known


def test_the_same_comes_out_again(tmp_path: Path) -> None:
    file = tmp_path / "builds"
    builder = Builder(_ABI)
    recorder = Recorder(builder, _ABI, file)
    built = [recorder(_profile(), FakeMemory(dict(_CODE))) for _ in range(2)]
    again = list(replays(file))
    assert len(again) == 2
    for one, other in zip(built, again, strict=True):
        assert other.abi == _ABI
        assert other.profile == _profile()
        assert Builder(other.abi)(other.profile, other.memory) == one


def test_a_build_that_came_to_nothing_is_recorded_too(tmp_path: Path) -> None:
    file = tmp_path / "builds"
    recorder = Recorder(Builder(_ABI), _ABI, file)
    with pytest.raises(NothingToBuild):
        recorder(Profile(), FakeMemory())
    (again,) = replays(file)
    with pytest.raises(NothingToBuild):
        Builder(again.abi)(again.profile, again.memory)


def test_what_was_not_read_is_not_made_up(tmp_path: Path) -> None:
    file = tmp_path / "builds"
    Recorder(Builder(_ABI), _ABI, file)(_profile(), FakeMemory(dict(_CODE)))
    (again,) = replays(file)
    with pytest.raises(UbError, match="there is no record of 0x123"):
        again.memory.read(0x123, 4)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UbError, match="cannot read"):
        list(replays(tmp_path / "none"))
    file = tmp_path / "other"
    for text in ("nonsense\n", "[]\n", '{"abi": 1}\n'):
        file.write_text(text)
        with pytest.raises(UbError, match="contains no recorded builds"):
            list(replays(file))
    with pytest.raises(UbError, match="cannot write"):
        Recorder(Builder(_ABI), _ABI, tmp_path)


def _record(file: Path) -> None:
    Recorder(Builder(_ABI), _ABI, file)(_profile(), FakeMemory(dict(_CODE)))


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    """It holds memory of the process."""
    file = tmp_path / "builds"
    before = os.umask(0)
    try:
        _record(file)
        _record(file)  # appends to a file of its own
    finally:
        os.umask(before)
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(list(replays(file))) == 2


def test_a_file_that_others_can_read_is_not_written_to(tmp_path: Path) -> None:
    file = tmp_path / "builds"
    file.touch(0o644)
    file.chmod(0o644)
    with pytest.raises(UbError, match="others can read it") as caught:
        _record(file)
    assert caught.value.hint == f"chmod 600 {file}"
    assert file.read_text() == ""
    file.chmod(0o600)
    _record(file)


def test_what_somebody_may_have_put_there_is_not_written_to(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.touch(0o600)
    link, hard, fifo = tmp_path / "link", tmp_path / "hard", tmp_path / "fifo"
    link.symlink_to(own)
    hard.hardlink_to(own)
    os.mkfifo(fifo, 0o600)
    for file in (link, hard, fifo):
        with pytest.raises(UbError, match="cannot write"):
            _record(file)
    assert own.read_text() == ""
    if os.geteuid() == 0:
        other = tmp_path / "other"
        other.touch(0o600)
        os.chown(other, 65534, 65534)
        with pytest.raises(UbError, match="belongs to another user"):
            _record(other)
        # Whose directory it is may do so anyway: the lab's root, for its user.
        os.chown(tmp_path, 65534, 65534)
        _record(other)


def test_a_file_without_an_end_is_not_read(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for file in (fifo, Path("/dev/zero")):
        with pytest.raises(UbError, match="not a regular file"):
            list(replays(file))
