# SPDX-License-Identifier: GPL-2.0-only
"""Captures to test with: of a small program, and made up."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from ubypass.abi import Translation
from ubypass.bench.chains.capture import Wish, capture
from ubypass.bench.chains.job import Mode
from ubypass.bench.chains.replay import Replayed, Ticks
from ubypass.bench.chains.snapshot import Answer, Area, Call, Capture, Origin
from ubypass.bench.chains.translation import Made
from ubypass.bench.workloads import build_program
from ubypass.engine.growth import TracedPath
from ubypass.places import build_dir
from ubypass.processor import describe, features

CALLS = 12


@contextlib.contextmanager
def running(what: str) -> Iterator[int]:
    """The pid of ``subject.c``, busy with ``what``."""
    program = build_program(
        Path(__file__).with_name("subject.c"), build_dir() / "tests" / "chains"
    )
    with subprocess.Popen(
        [str(program), what], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            yield process.pid
        finally:
            process.kill()


def captured(what: str, folder: Path) -> Capture:
    """A chain of that program."""
    folder.mkdir(parents=True, exist_ok=True)
    with running(what) as pid:
        return capture(pid, what, Wish(calls=CALLS, skip=20, seconds=30), folder)


def made_up(
    folder: Path = Path(),
    areas: tuple[Area, ...] = (),
    answers: tuple[Answer, ...] = (),
) -> Capture:
    """Two gaps of a program that there never was."""
    return Capture(
        folder=folder,
        origin=Origin("sample", describe(), features(), 1000.0, 1.0),
        areas=areas,
        registers=(0,) * 16,
        rip=0x1002,
        flags=0x202,
        fsbase=0,
        parts=(),
        paths=(
            TracedPath(0x1002, 0, (0x1002, 0x1003)),
            TracedPath(0x1012, 1, (0x1012, 0x1013)),
        ),
        calls=(Call(0x1003, 1, 5, "s", ()), Call(0x1013, 0, 3, "s", ((0x2000, 7),))),
        answers=answers,
    )


def replayed(mode: Mode = Mode.WORK | Mode.TRANSITION, wrong: int = 0) -> Replayed:
    """Three repetitions of :func:`made_up`, at two ticks in a ns."""
    nothing = Translation(b"", (), (), (), (), (), (), 0)
    ticks = Ticks(
        mode,
        native=((200, 400), (220, 380), (900, 420)),
        translated=((100, 300), (120, 280), (110, 320)),
        native_chain=(1000, 1000, 1500),
        translated_chain=(900, 900, 950),
    )
    return Replayed(
        made_up(),
        Made(nothing, 10),
        2.0,
        1,
        wrong,
        1,
        2,
        0,
        (),
        () if wrong else (ticks,),
    )
