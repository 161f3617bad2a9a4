# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
from pathlib import Path

import pytest

from ubypass.module.users import User, openers, threads_inside

_STACK = "[<0>] do_wait+0x10/0x20\n[<0>] ub_trampoline+0x5a/0x100 [ub]\n"
_DISPATCHED = "[<0>] do_wait+0x10/0x20\n{}[<0>] ub_arena+0x5a/0x100 [ub]\n"
_HANDLER = "[<0>] __x64_sys_epoll_wait+0x1/0x2\n"


_PF_KTHREAD = 0x00200000


def _thread(
    directory: Path, *, stack: str, syscall: str, name: str, flags: int = 0x400000
) -> None:
    directory.mkdir(parents=True)
    zeros = "0 " * 12
    (directory / "stat").write_text(f"9 ({name}) S 1 1 1 0 -1 {flags} {zeros}77 0\n")
    (directory / "stack").write_text(stack)
    (directory / "syscall").write_text(syscall)
    (directory / "comm").write_text(name + "\n")


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    for pid, opened in (7, "/dev/ub"), (8, "/dev/null"), (os.getpid(), "/dev/ub"):
        (tmp_path / str(pid) / "fd").mkdir(parents=True)
        (tmp_path / str(pid) / "fd" / "3").symlink_to(opened)
        (tmp_path / str(pid) / "comm").write_text(f"name\\x{pid}\n")
    (tmp_path / "self").mkdir()
    task = tmp_path / "8" / "task"
    _thread(task / "8", stack="[<0>] do_wait+0x10/0x20\n", syscall="0 1", name="main")
    _thread(task / "9", stack=_STACK, syscall="0 0x3 0x7ff", name="reader\x1b")
    _thread(task / "10", stack=_STACK, syscall="running", name="woken")
    _thread(task / "11", stack=_STACK, syscall="-1 0x7ff", name="woken")
    # The number is that of an earlier call.
    stack = _DISPATCHED.format(_HANDLER)
    _thread(task / "12", stack=stack, syscall="0 0x3", name="server")
    _thread(task / "13", stack=_DISPATCHED.format(""), syscall="0 0x3", name="server")
    # A worker that runs a work item of the module's.
    _thread(
        tmp_path / "14" / "task" / "14",
        stack=_STACK,
        syscall="0 0x0",
        name="kworker/u4:1+ub",
        flags=0x4208060 | _PF_KTHREAD,
    )
    return tmp_path


def test_open_devices_and_threads_inside_calls(proc: Path) -> None:
    assert list(openers(proc)) == [User(7, "name\\x7", "has /dev/ub open")]
    assert list(threads_inside(proc)) == [
        User(9, "reader?", "is in read"),
        User(10, "woken", "is being woken"),
        User(11, "woken", "is being woken"),
        User(12, "server", "is in epoll_wait"),
        User(13, "server", "is in a dispatched call"),
    ]
    calls = [user.call for user in threads_inside(proc)]
    assert calls == ["read", "", "", "", ""]
    assert str(User(9, "a", "is in read")) == "9 (a) is in read"


def test_processes_that_end_meanwhile(proc: Path) -> None:
    (proc / "7" / "fd" / "3").unlink()
    for name in ("stack", "syscall"):
        (proc / "8" / "task" / "9" / name).unlink()
    (proc / "11").mkdir()
    assert not list(openers(proc))
    assert [user.number for user in threads_inside(proc)] == [10, 11, 12, 13]


def test_the_processes_of_this_machine() -> None:
    """All files of procfs can be read, or are skipped."""
    assert all(user.number != os.getpid() for user in (*openers(), *threads_inside()))
