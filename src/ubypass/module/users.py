# SPDX-License-Identifier: GPL-2.0-only
"""Processes that keep the loaded module from being unloaded.

The kernel refuses to unload the module while ``/dev/ub`` is open, and while a thread
sleeps in a system call that it entered when its process was attached: the module's code
is on the thread's kernel stack until the call returns.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ubypass.process.calls import call_name
from ubypass.process.status import is_kernel_thread, read_name

__all__ = ["User", "openers", "threads_inside"]

_PROC = Path("/proc")
_DEVICE = "/dev/ub"
_OURS = "[ub]"  # behind each symbol of the module in a kernel stack
_TRANSLATED = " ub_arena+"  # code that dispatches calls
_HANDLER = re.compile(r" __x64_sys_(\w+)\+")


@dataclass(frozen=True, slots=True)
class User:
    """A process or thread with its number, its name, and what it does: ``doing``.

    ``call``: the name of the native system call that it is in, if it is in one.
    """

    number: int
    name: str
    doing: str
    call: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.number} ({self.name}) {self.doing}"


def openers(proc: Path = _PROC) -> Iterator[User]:
    """Processes, other than this one, that have ``/dev/ub`` open.

    Needs root. ``proc``: where procfs is mounted. Processes may end meanwhile.
    """
    for process in sorted(_numbers(proc)):
        directory = proc / str(process)
        with contextlib.suppress(OSError):
            if process != os.getpid() and _has_opened(directory / "fd"):
                yield User(process, read_name(directory), f"has {_DEVICE} open")


def threads_inside(proc: Path = _PROC) -> Iterator[User]:
    """Threads with the module's code on their kernel stacks; as :func:`openers`."""
    for process in sorted(_numbers(proc)):
        with contextlib.suppress(OSError):
            for thread in sorted(_numbers(proc / str(process) / "task")):
                yield from _inside(proc / str(process) / "task" / str(thread), thread)


def _numbers(directory: Path) -> list[int]:
    return [int(name) for name in os.listdir(directory) if name.isdecimal()]


def _has_opened(descriptors: Path) -> bool:
    for name in os.listdir(descriptors):
        with contextlib.suppress(OSError):
            if os.readlink(descriptors / name) == _DEVICE:
                return True
    return False


def _inside(thread: Path, number: int) -> Iterator[User]:
    """The thread, if the module's code is on its kernel stack."""
    with contextlib.suppress(OSError):
        stack = (thread / "stack").read_text(errors="replace")
        # The kernel's own threads do the module's work, which unloading waits for.
        if _OURS in stack and not is_kernel_thread(thread):
            word = (thread / "syscall").read_text().partition(" ")[0].strip()
            call = _call(stack, word)
            yield User(number, read_name(thread), _doing(stack, call), call)


def _call(stack: str, word: str) -> str:
    """``word``: the first one of the thread's file ``syscall``, a number as a rule.

    In a translation the number is that of the last native call.
    """
    if _TRANSLATED in stack or not word.isdecimal():
        return ""
    return call_name(int(word))


def _doing(stack: str, call: str) -> str:
    if _TRANSLATED in stack:
        handler = _HANDLER.search(stack)
        return f"is in {handler[1] if handler else 'a dispatched call'}"
    return f"is in {call}" if call else "is being woken"
