# SPDX-License-Identifier: GPL-2.0-only
"""Programs to look at, which notice if they are disturbed."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from ubypass.bench.workloads import build_program
from ubypass.errors import UbError
from ubypass.estimate.rates import Tracepoints
from ubypass.places import build_dir
from ubypass.process.ptrace import Thread

__all__ = ["NO_PTRACE", "NO_TRACEPOINTS", "Subject", "program", "running", "tracer_of"]


class Subject:
    """A running program; :meth:`end` says what it has found out about itself."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid

    @property
    def status(self) -> int | None:
        """As Popen's: None while it runs."""
        return self._process.poll()

    def end(self) -> str:
        """Ask it to end, and return what it says."""
        self._process.terminate()
        said, _ = self._process.communicate(timeout=60)
        assert self._process.returncode == 0
        return said.strip()


def program() -> Path:
    """The program, built."""
    source = Path(__file__).with_name("subject.c")
    return build_program(source, build_dir() / "tests" / "estimate", "-pthread")


@contextlib.contextmanager
def running(what: str) -> Iterator[Subject]:
    """It, busy with ``what``."""
    words = [str(program()), what]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield Subject(process)
        finally:
            process.kill()


def tracer_of(tid: int) -> int:
    """Who traces the thread; 0: nobody."""
    text = Path(f"/proc/{tid}/status").read_text()
    return int(text.split("TracerPid:")[1].split()[0])


@cache
def _lacks_tracepoints() -> str:
    try:
        Tracepoints().close()
    except UbError as error:
        return error.message
    return ""


@cache
def _lacks_ptrace() -> str:
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            thread = Thread(process.pid)
            thread.interrupt()
            while thread.wait() is None:
                pass
            thread.detach()
        except OSError as error:
            return str(error.strerror)
        finally:
            process.kill()
    return ""


#: For tests that need it: skipped with the reason where this machine lacks it.
NO_TRACEPOINTS = pytest.mark.skipif(
    bool(_lacks_tracepoints()), reason=f"no tracepoints: {_lacks_tracepoints()}"
)
NO_PTRACE = pytest.mark.skipif(
    bool(_lacks_ptrace()), reason=f"no ptrace: {_lacks_ptrace()}"
)
