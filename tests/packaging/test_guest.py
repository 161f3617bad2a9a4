# SPDX-License-Identifier: GPL-2.0-only
"""What is typed in a machine that boots, and its answers; booting takes root."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fresh.guest import Guest, add_agent
from tests.fresh.machine import Done, Failed

_AGENT = Path(__file__).parents[1] / "fresh" / "agent.sh"


@pytest.fixture
def ports(tmp_path: Path) -> Path:
    for name in "ub.in", "ub.ctl", "console":
        os.mkfifo(tmp_path / name)
    return tmp_path


def _ends(ports: Path) -> tuple[int, int, int]:
    """For both directions: opening waits for nobody."""
    to, answers, console = (
        os.open(ports / name, os.O_RDWR) for name in ("ub.in", "ub.ctl", "console")
    )
    return to, answers, console


@pytest.fixture
def guest(ports: Path) -> Iterator[Guest]:
    """The agent as in a machine, with pipes for ports."""
    ends = _ends(ports)
    agent = ["sh", str(_AGENT), str(ports), str(ports)]
    with subprocess.Popen(agent) as process:
        guest = Guest(*ends, process.pid, io.StringIO())
        guest.wait_ready(60)
        yield guest
        process.kill()
    for end in ends:
        os.close(end)


def test_output_and_status_come_back(guest: Guest) -> None:
    done = guest.type("echo one; echo 'zwei ü' >&2\nexit 3", timeout=60)
    assert (done.status, done.output) == (3, "one\nzwei ü\n")
    assert guest.succeeds("cat; printf x", timeout=60).output == "x"
    assert guest.succeeds("true", timeout=60).output == ""


def test_a_long_output_comes_as_a_whole(guest: Guest) -> None:
    done = guest.succeeds("seq 50000", timeout=60)
    assert done.output.splitlines() == [str(number) for number in range(1, 50001)]


def test_what_a_command_leaves_behind_is_not_waited_for(guest: Guest) -> None:
    done = guest.succeeds("sleep 100 & echo $!", timeout=60)
    os.kill(int(done.output), 9)


def test_a_command_that_fails_is_told_with_its_end(guest: Guest) -> None:
    with pytest.raises(Failed, match=r"'echo no; false' ended with status 1:\n *no"):
        guest.succeeds("echo no; false", timeout=60)


def test_it_is_repeated_until_it_holds(guest: Guest, tmp_path: Path) -> None:
    count = f"echo x >> {tmp_path}/tries; wc -l < {tmp_path}/tries"
    said = guest.until(count, lambda said: int(said) >= 2, "two", timeout=60)
    assert int(said) == 2
    with pytest.raises(Failed, match="nothing: 'echo still' still says\nstill"):
        guest.until("echo still", lambda said: False, "nothing", timeout=0)


def test_no_answer_is_told_with_the_end_of_the_console(ports: Path) -> None:
    ends = _ends(ports)
    log = io.StringIO()
    guest = Guest(*ends, os.getpid(), log)
    os.write(ends[2], b"[ 1.0] Kernel panic\n")
    with pytest.raises(Failed, match=r"did not come up.*\n +\[ 1.0\] Kernel panic"):
        guest.wait_ready(0.5)
    assert "Kernel panic" in log.getvalue()
    with pytest.raises(Failed, match="no answer to 'true'"):
        guest.type("true", timeout=0.5)
    for end in ends:
        os.close(end)


class _Logged(Guest):
    """A machine with that log of the kernel."""

    def __init__(self, log: str) -> None:
        self._dmesg = log

    def succeeds(self, command: str, *, timeout: float = 0) -> Done:
        assert command == "dmesg"
        return Done(command, 0, self._dmesg, 0.0, 0.0)


@pytest.mark.parametrize(
    ("line", "is_complaint"),
    [
        ("[    3.1] BUG: kernel NULL pointer dereference", True),
        ("[    3.1] ub: loading out-of-tree module taints kernel.", False),
    ],
)
def test_complaints_of_its_kernel_are_seen(line: str, is_complaint: bool) -> None:
    guest = _Logged(f"[    0.0] Linux\n{line}\n")
    if is_complaint:
        with pytest.raises(Failed, match="NULL pointer"):
            guest.check_log()
    else:
        guest.check_log()


def test_the_machine_starts_the_agent(tmp_path: Path) -> None:
    (tmp_path / "usr/local/lib").mkdir(parents=True)
    (tmp_path / "etc/systemd/system").mkdir(parents=True)
    add_agent(tmp_path)
    link = tmp_path / "etc/systemd/system/multi-user.target.wants/agent.service"
    unit = link.read_text()
    (started,) = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    agent = tmp_path / started.split()[1].lstrip("/")
    assert agent.read_bytes() == _AGENT.read_bytes()
    settings = tmp_path / "etc/systemd/system.conf.d/patience.conf"
    assert "DefaultTimeoutStartSec=1h\n" in settings.read_text()
