# SPDX-License-Identifier: GPL-2.0-only
"""Has sleeping threads make their system call anew, so that they leave the module.

A thread that sleeps in a call since its process was attached has the module's code on
its kernel stack until the call returns, which may be never: a background thread of
jemalloc sleeps in ``futex`` until it has something to do. A stop by ptrace interrupts
the call, and the kernel makes it again when the thread continues. The program does not
notice where the kernel always does that; other calls, ``epoll_wait`` for example, would
fail with EINTR (signal(7), "Interruption of system calls by stop signals").
"""

from __future__ import annotations

from collections.abc import Iterable

from ubypass.module.users import User
from ubypass.process.ptrace import Stopped, Thread

__all__ = ["RESTARTED", "restart"]

#: Calls that the kernel always restarts after a stop, as signal(7) has it.
RESTARTED = frozenset({"futex"})


def restart(users: Iterable[User]) -> list[User]:
    """Interrupt the threads of ``users`` in such a call; those that were.

    Not threads that somebody else traces, or that have ended.
    """
    return [user for user in users if user.call in RESTARTED and _interrupt(user)]


def _interrupt(user: User) -> bool:
    try:
        thread = Thread(user.number)
        thread.interrupt()
        while (stop := thread.wait()) is None:
            pass
        # A signal that came first is delivered, as without this.
        thread.detach(stop.signal)
    except (OSError, Stopped):
        return False
    return True
