# SPDX-License-Identifier: GPL-2.0-only
"""PID namespaces: for programs alone, and for a client together with its programs."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable

__all__ = ["UNSHARE", "inside", "only_child"]

#: Words that run a program in one of its own.
UNSHARE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")

_CLONE_NEWNS, _CLONE_NEWPID = 0x20000, 0x20000000
_MS_REC, _MS_PRIVATE = 0x4000, 0x40000
_PR_SET_PDEATHSIG = 1

# Loaded here, not in the child: after a fork only calls that take no lock are safe.
_libc = ctypes.CDLL(None, use_errno=True)


def only_child(pid: int) -> int:
    """The only child of a process. Raises ProcessLookupError if it has none."""
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        children = file.read().split()
    if len(children) != 1:
        raise ProcessLookupError
    return int(children[0])


def inside(play: Callable[[], None]) -> None:
    """Run ``play`` as the first process of a namespace with its own /proc.

    Returns when it has ended. It does not outlive this process, nor does any other
    process of the namespace. Raises OSError, also if it has failed.
    """
    _check(_libc.unshare(_CLONE_NEWPID | _CLONE_NEWNS))
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
            os.close(writing)
            if os.read(reading, 1):  # else the parent ended before
                _check(_libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None))
                _check(_libc.mount(b"proc", b"/proc", b"proc", 0, None))
                play()
        except BaseException:
            os._exit(1)
        os._exit(0)
    os.close(reading)
    os.write(writing, b"g")
    _, status = os.waitpid(child, 0)
    os.close(writing)
    if status:
        raise OSError(f"the first process of a namespace ended: {status:#x}")


def _check(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
