# SPDX-License-Identifier: GPL-2.0-only
"""Which processes can be boosted, and who is who."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from ubypass.errors import UbError
from ubypass.process import status


def test_a_plain_program_is_accepted_and_followed_to_its_end() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        who = status.identify(child.pid)
        assert who.name == "sleep"
        assert status.is_alive(who)
        assert status.threads(child.pid) == (child.pid,)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # now a zombie
        assert not status.is_alive(who)
        with pytest.raises(UbError, match="already exited"):
            status.identify(child.pid)
    assert status.start_time(child.pid) is None
    assert status.threads(child.pid) == ()


def test_a_later_process_with_the_same_number_is_another() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        who = status.identify(child.pid)
        assert not status.is_alive(status.ProcessId(who.pid, who.start - 1, who.name))
        child.kill()


@pytest.mark.parametrize(
    ("pid", "message"),
    [(0, "positive"), (-1, "positive"), (2**22 + 1, "no process")],
)
def test_impossible_numbers(pid: int, message: str) -> None:
    with pytest.raises(UbError, match=message):
        status.identify(pid)


def test_ourselves() -> None:
    with pytest.raises(UbError, match="itself"):
        status.identify(os.getpid())


def test_a_thread_is_not_a_process() -> None:
    release = threading.Event()
    thread = threading.Thread(target=release.wait)
    thread.start()
    try:
        with pytest.raises(UbError, match=f"thread of process {os.getpid()}"):
            status.identify(thread.native_id or 0)
    finally:
        release.set()
        thread.join()


def _kernel_thread() -> int | None:
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2]
            except OSError:
                continue
            if int(fields.split()[6]) & 0x00200000:
                return int(name)
    return None


def test_kernel_threads_are_named_as_such() -> None:
    pid = _kernel_thread()
    if pid is None:
        pytest.skip("no kernel thread can be seen from this container")
    with pytest.raises(UbError, match="kernel thread"):
        status.identify(pid)


def test_a_name_with_parentheses_does_not_confuse(tmp_path: Path) -> None:
    odd = tmp_path / "a) R 1 (b"
    odd.symlink_to("/bin/sleep")
    with subprocess.Popen([odd, "60"]) as child:
        who = status.identify(child.pid)
        child.kill()
    assert who.name == "a) R 1 (b"


def test_descendants_are_found_parents_first() -> None:
    script = "sleep 60 & (sleep 60 & echo; wait) & wait"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE) as shell:
        try:
            assert shell.stdout is not None
            shell.stdout.readline()
            deadline = time.monotonic() + 10
            while (
                len(status.descendants(shell.pid)) < 3 and time.monotonic() < deadline
            ):
                time.sleep(0.01)
            found = status.descendants(shell.pid)
            assert len(found) == 3
            assert set(found) <= set(status.descendants(os.getpid()))
        finally:
            for pid in (*status.descendants(shell.pid), shell.pid):
                os.kill(pid, signal.SIGKILL)
    assert status.descendants(shell.pid) == ()
