# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.estimate.subjects import NO_PTRACE
from ubypass.module.restart import restart
from ubypass.module.users import User

pytestmark = NO_PTRACE

#: A thread that sleeps in futex until the program is told to end.
_PROGRAM = """
import threading
end = threading.Lock()
end.acquire()
def sleep():
    end.acquire()
    print("woken", flush=True)
thread = threading.Thread(target=sleep)
thread.start()
print(thread.native_id, flush=True)
input()
end.release()
thread.join()
"""
_FUTEX = "202"


@pytest.fixture
def program() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def _call(thread: Path) -> str:
    return (thread / "syscall").read_text().split()[0]


def _switches(thread: Path) -> int:
    """How often it went to sleep."""
    for line in (thread / "status").read_text().splitlines():
        if line.startswith("voluntary_ctxt_switches"):
            return int(line.split()[1])
    raise AssertionError


def test_a_thread_sleeps_again_and_does_not_notice(
    program: subprocess.Popen[str],
) -> None:
    assert program.stdout is not None
    number = int(program.stdout.readline())
    thread = Path(f"/proc/{program.pid}/task/{number}")
    _until(lambda: _call(thread) == _FUTEX)
    before = _switches(thread)
    user = User(number, "python", "is in futex", call="futex")
    assert restart([user]) == [user]
    _until(lambda: _switches(thread) > before and _call(thread) == _FUTEX)
    assert program.communicate("\n", timeout=60)[0] == "woken\n"
    assert program.returncode == 0


def test_other_calls_are_left_alone(program: subprocess.Popen[str]) -> None:
    """The main thread reads: it is not interrupted."""
    assert program.stdout is not None
    program.stdout.readline()
    thread = Path(f"/proc/{program.pid}/task/{program.pid}")
    _until(lambda: _call(thread) == "0")
    before = _switches(thread)
    assert not restart([User(program.pid, "python", "is in read", call="read")])
    assert _switches(thread) == before


def test_threads_that_are_not_there_or_not_to_be_traced() -> None:
    own = User(os.getpid(), "python", "is in futex", call="futex")
    gone = User(2**22 + 1, "gone", "is in futex", call="futex")
    assert not restart([own, gone])
