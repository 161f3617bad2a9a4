# SPDX-License-Identifier: GPL-2.0-only
"""Helper programs end when they should, with all that they have started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ubypass import child

#: A program with a child in the background; prints both numbers.
_FAMILY = "sleep 600 & echo $$ $!; wait"


def is_gone(pid: int, seconds: float = 10) -> bool:
    """Whether the process ends within that time; a zombie has ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if ") Z " in Path(f"/proc/{pid}/stat").read_text():
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_what_it_has_started_ends_with_it(how: signal.Signals) -> None:
    process = child.start(["sh", "-c", _FAMILY], stdout=subprocess.PIPE, text=True)
    with process:
        numbers = [int(word) for word in process.stdout.readline().split()]
        assert child.end(process, how) == -how
        assert child.end(process) == -how
    assert all(is_gone(pid) for pid in numbers)


def test_one_that_has_ended_already() -> None:
    process = child.start(["sh", "-c", "sleep 600 & exit 3"])
    assert is_gone(process.pid)
    assert child.end(process, signal.SIGTERM) == 3


@pytest.mark.parametrize("last", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_when_we_are_killed(last: signal.Signals) -> None:
    code = (
        "import signal, time; from ubypass import child\n"
        f"print(child.start(['sleep', '600'], last=signal.{last.name}).pid, flush=True)"
        "\ntime.sleep(600)"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as us:
        assert us.stdout is not None
        pid = int(us.stdout.readline())
        us.kill()
    assert is_gone(pid)


def test_run_is_as_of_subprocess() -> None:
    done = child.run(["sh", "-c", "echo a; echo b >&2; exit 3"], capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (3, b"a\n", b"b\n")
    with pytest.raises(FileNotFoundError):
        child.run(["/no/such/program"])


def test_run_leaves_nothing_when_it_is_interrupted(tmp_path: Path) -> None:
    noted = tmp_path / "noted"

    def leave(number: int, frame: object) -> None:
        raise SystemExit(1)

    before = signal.signal(signal.SIGUSR1, leave)
    try:
        tell = f"kill -USR1 {os.getpid()}"
        with pytest.raises(SystemExit):
            child.run(["sh", "-c", f"sleep 600 & echo $$ $! >{noted}; {tell}; wait"])
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert all(is_gone(int(pid)) for pid in noted.read_text().split())
