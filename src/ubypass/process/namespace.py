# SPDX-License-Identifier: GPL-2.0-only
"""PID namespaces: one process has a number in each that it can be seen from.

An engine and whoever asks it may live in different ones and share files all the same.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping

from ubypass.errors import UbError

__all__ = ["numbers_here", "numbers_of", "own_namespace", "require_own_proc"]

_NS_GET_PARENT = 0xB702  # linux/nsfs.h


def own_namespace() -> int:
    """What names this process' PID namespace; 0 if that cannot be told."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return 0


def require_own_proc() -> None:
    """See to it that /proc shows the numbers that we and the module speak of.

    Raises ``UbError`` if it is that of another PID namespace.
    """
    try:
        shown = os.readlink("/proc/self")
    except OSError:
        shown = ""
    if shown != str(os.getpid()):
        raise UbError(
            "/proc is not mounted, or shows another PID namespace than this one",
            "mount -t proc proc /proc; unshare does so with --mount-proc",
        )


def numbers_of(pid: int) -> dict[int, int]:
    """The numbers of process ``pid`` by the namespaces in which it has them.

    Those at and below ours. Empty if it is gone.
    """
    try:
        with open(f"/proc/{pid}/status") as file:
            numbers = next(
                [int(word) for word in line.split()[1:]]
                for line in file
                if line.startswith("NSpid:")
            )
        namespace = os.open(f"/proc/{pid}/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    except (OSError, StopIteration):
        return {}
    found = {}
    try:
        # The innermost comes last, and is the process' own.
        while True:
            found[os.fstat(namespace).st_ino] = numbers.pop()
            if not numbers:
                return found
            parent = fcntl.ioctl(namespace, _NS_GET_PARENT)
            os.close(namespace)
            namespace = parent
    except OSError:
        return found  # what is above is none of our business
    finally:
        os.close(namespace)


def numbers_here(namespace: int) -> Mapping[int, int]:
    """Our numbers of all processes that have one in ``namespace``, by that."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    inside = ((numbers_of(pid).get(namespace), pid) for pid in pids)
    return {number: pid for number, pid in inside if number is not None}
