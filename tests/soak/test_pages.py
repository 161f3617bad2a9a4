# SPDX-License-Identifier: GPL-2.0-only
"""The program whose pages change: natively it finds nothing wrong, whatever it does."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.guest.program import END, Program
from tests.soak.regions import LOOP, PAGE, PAGES
from ubypass.bench.workloads import build_program

_SOURCE = Path(__file__).parent / "programs" / "pages.c"
_HANG = 60.0  # seconds


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("soak")
    build_program(_SOURCE, home / "pages", "-pthread")
    return home


def _wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _HANG
    while not done() and time.monotonic() < deadline:
        time.sleep(0.01)


def _end(program: Program) -> list[str]:
    """What it says of itself, once it is over."""
    program.stage(END)
    _wait(lambda: program.ended)
    assert program.outcome() == {"status": 0, "output": ["wrong 0"]}
    (said,) = program.said()
    return said.split()


def test_threads_and_processes_come_and_go(home: Path) -> None:
    with Program("pages", "4", "4", "10", home=home) as program:
        _wait(lambda: program.has_acted)
        program.signal(signal.SIGUSR1)
        name, count, *_ = _end(program)
        assert name == "ended"
        assert int(count) >= 20


def test_breakpoints_are_survived(home: Path) -> None:
    with Program("pages", "2", "0", "1000000", home=home) as program:
        memory = os.open(f"/proc/{program.pid}/mem", os.O_RDWR)
        planted = 0
        deadline = time.monotonic() + _HANG
        while planted < 20 and time.monotonic() < deadline:
            at = PAGES + planted % 2 * PAGE + LOOP
            try:
                before = os.pread(memory, 1, at)
            except OSError:
                continue  # the page is not there yet, or just now
            if before == b"\xb8":
                os.pwrite(memory, b"\xcc", at)
                time.sleep(0.01)
                os.pwrite(memory, before, at)
                planted += 1
        os.close(memory)
        said = _end(program)
    assert planted == 20
    assert said[-2] == "traps"
    assert int(said[-1]) > 0
