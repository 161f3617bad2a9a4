# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from tests.bench.chains.samples import made_up, replayed
from ubypass.bench.chains import job as jobs
from ubypass.bench.chains.clock import Clock
from ubypass.bench.chains.job import Mode, Plan

_HEADER = 62


def _words(data: bytes) -> list[int]:
    return list(struct.unpack(f"<{len(data) // 8}Q", data))


def _job(clock: Clock | None = None) -> list[int]:
    return _words(
        jobs.job(
            made_up(),
            clock or Clock({}, {}, b""),
            ({0x1003: b"\xeb\x10"}, (0x3000,)),
            replayed().made.translation,
            Plan(7, (Mode.HOT, Mode.WORK), 1),
        )
    )


def test_calls_and_what_they_change() -> None:
    words = _job()
    assert words[17:20] == [0x1002, 0x202, 0]
    count, offset = words[22:24]
    assert count == 2
    second = words[offset // 8 + 8 : offset // 8 + 16]
    assert second == [0, 3, 0x1015, 0, 1, 3, 1, 3]
    count, offset = words[24:26]
    assert words[offset // 8 : offset // 8 + 2 * count] == [0x2000, 7]


def test_plan() -> None:
    words = _job()
    assert words[49:53] == [7, 2, Mode.HOT, Mode.WORK]
    assert words[_HEADER - 1] == 1
    count, offset = words[_HEADER - 3 : _HEADER - 1]
    assert (count, words[offset // 8]) == (1, 0x3000)


def test_long_patches_come_in_pieces() -> None:
    words = _job(Clock({0x5000: bytes(range(1, 31))}, {}, b""))
    count, offset = words[26:28]
    first = words[offset // 8 : offset // 8 + 5 * count]
    assert count == 3
    assert [first[0], first[1], first[5], first[6]] == [0x5000, 24, 0x5018, 6]


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    jobs.write(tmp_path / "job", b"secret")
    assert os.stat(tmp_path / "job").st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("said", "clears"),
    [("Retpolines; BHI: SW loop, KVM: SW loop", True), ("BHI: BHI_DIS_S", False)],
)
def test_whether_history_is_cleared(
    said: str, clears: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "spectre").write_text(said)
    monkeypatch.setattr(jobs, "_SPECTRE", tmp_path / "spectre")
    assert jobs.clears_history() is clears


@pytest.mark.parametrize(
    ("file", "said", "clears"),
    [
        ("mds", "Mitigation: Clear CPU buffers; SMT vulnerable", True),
        ("reg_file_data_sampling", "Mitigation: Clear Register File", True),
        ("tsa", "Mitigation: Clear CPU buffers: VM", False),
        ("mds", "Not affected", False),
        ("mds", "Vulnerable: Clear CPU buffers attempted, no microcode", True),
    ],
)
def test_whether_buffers_are_cleared(
    file: str, said: str, clears: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_SPECTRE", tmp_path / "spectre_v2")
    assert jobs.clears_buffers() is False
    (tmp_path / file).write_text(said + "\n")
    assert jobs.clears_buffers() is clears
