# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from ubypass.bench.uring import program
from ubypass.bench.uring.record import PLAIN, SQPOLL
from ubypass.errors import UbError

_RESULT = '{"median": 12.5, "cpu": 14.0, "workers": 2, "poller": 3.5, "rounds": []}'
_READS = program.Reads(64, 8, 16, 3)


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The program's place; a shell script is to be written there."""
    file = tmp_path / "uring"
    monkeypatch.setattr(program, "build_workload", lambda name: tmp_path / name)
    monkeypatch.setattr(program, "_DISABLED", tmp_path / "io_uring_disabled")
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    return file


def test_a_result(play: Path) -> None:
    play.write_text(f"#!/bin/sh\necho \"$@\" > {play}.said\necho '{_RESULT}'\n")
    assert program.read(PLAIN, Path("/f"), _READS) == program.Result(12.5, 14.0, 2, 3.5)
    words = Path(f"{play}.said").read_text().split()
    assert words == [
        *("--way", "plain", "--file", "/f", "--size", "64", "--depth", "8"),
        *("--count", "16", "--rounds", "3"),
    ]


@pytest.mark.parametrize(
    ("said", "disabled", "why"),
    [
        ("io_uring_setup: Function not implemented", None, "kernel has no io_uring"),
        ("io_uring_setup: Operation not permitted", "2", "io_uring_disabled is 2"),
        ("io_uring_setup: Operation not permitted", "0", "Operation not permitted"),
        ("registering buffers: Cannot allocate memory", None, "registering buffers"),
    ],
)
def test_a_kernel_that_does_not_do_it(
    play: Path, said: str, disabled: str | None, why: str
) -> None:
    if disabled is not None:
        (play.parent / "io_uring_disabled").write_text(f"{disabled}\n")
    play.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 3\n")
    assert why in program.why_not(PLAIN)
    with pytest.raises(UbError, match="io_uring plain"):
        program.read(PLAIN, Path("/f"), _READS)


def test_polling_needs_a_second_processor(play: Path) -> None:
    play.write_text(f"#!/bin/sh\necho '{_RESULT}'\n")
    assert "not measurable" in program.why_not(SQPOLL, processors=1)
    assert program.why_not(SQPOLL, processors=2) == ""
    assert program.why_not(PLAIN, processors=1) == ""


def test_a_missing_library_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Path:
        raise UbError("there is no liburing.h", "apt install liburing-dev")

    monkeypatch.setattr(program, "build_workload", missing)
    assert program.why_not(PLAIN) == "there is no liburing.h (apt install liburing-dev)"


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo 'uring: data: differs' >&2; exit 2", "data: differs"),
        ("exit 127", "status 127"),
        ("echo '{}'", "no result"),
        ("echo nothing", "no result"),
    ],
)
def test_what_goes_wrong_is_an_error(play: Path, script: str, why: str) -> None:
    play.write_text(f"#!/bin/sh\n{script}\n")
    with pytest.raises(UbError, match=why):
        program.read(PLAIN, Path("/f"), _READS)
