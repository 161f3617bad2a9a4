# SPDX-License-Identifier: GPL-2.0-only
"""A program waits before its first instruction, and then runs as if it never had."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ubypass.cli import launch
from ubypass.cli.launch import Launch
from ubypass.errors import UbError


def _status(pid: int) -> dict[str, str]:
    text = Path(f"/proc/{pid}/status").read_text()
    return dict(re.findall(r"^(\w+):\s*(.*)$", text, re.M))


def test_it_waits_until_it_is_told_to_go(tmp_path: Path) -> None:
    mark = tmp_path / "began"
    held = Launch(["touch", str(mark)])
    assert held.is_held
    assert _status(held.child.pid)["Name"] == "touch"  # the exec is behind it
    time.sleep(0.2)
    assert not mark.exists()
    held.go()
    assert not held.is_held
    assert held.child.wait() == 0
    assert mark.exists()
    held.go()


def test_nothing_is_left_of_it(capfd: pytest.CaptureFixture[str]) -> None:
    held = Launch(["grep", "-E", "TracerPid|SigPnd|SigIgn", "/proc/self/status"])
    held.go()
    assert held.child.wait() == 0
    said = capfd.readouterr().out.split()
    assert said[said.index("TracerPid:") + 1] == "0"
    assert int(said[said.index("SigPnd:") + 1], 16) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_comes_meanwhile_is_the_programs(number: int) -> None:
    held = Launch(["sleep", "60"])
    held.child.send_signal(number)
    time.sleep(0.1)
    assert held.child.poll() is None
    held.go()
    assert held.child.wait(10) == -number


def test_a_signal_from_before_its_exec(monkeypatch: pytest.MonkeyPatch) -> None:
    def hold_and_block() -> None:
        before()
        os.kill(os.getpid(), signal.SIGUSR1)  # blocked until the exec is over

    before: Callable[[], None] = launch._hold
    monkeypatch.setattr(launch, "_hold", hold_and_block)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    try:
        script = "import signal; print(signal.SIGUSR1 in signal.sigpending())"
        held = Launch([sys.executable, "-c", script])
        held.go()
        assert held.child.wait(20) == 0
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])


@pytest.mark.parametrize(
    ("command", "code"), [("/no/such/program", 127), ("/etc/passwd", 126)]
)
def test_a_program_that_cannot_start(command: str, code: int) -> None:
    with pytest.raises(UbError) as caught:
        Launch([command])
    assert caught.value.exit_code == code


def test_where_ptrace_is_not_allowed_it_just_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(launch, "_hold", lambda: None)
    held = Launch(["true"])
    assert not held.is_held
    held.go()
    assert held.child.wait() == 0


def test_who_ends_while_it_is_held_is_not_lost() -> None:
    held = Launch(["sleep", "60"])
    os.kill(held.child.pid, signal.SIGKILL)
    held.go()
    assert held.child.wait(10) == -signal.SIGKILL


def test_threads_and_forks_of_it_are_not_traced() -> None:
    script = "for i in 1 2 3; do grep TracerPid /proc/self/status; done"
    held = Launch(["sh", "-c", script])
    held.go()
    assert held.child.wait() == 0
    assert isinstance(held.child, subprocess.Popen)
