# SPDX-License-Identifier: GPL-2.0-only
"""PID namespaces: a process has a PID in its own namespace and in each ancestor.

An engine and its clients may live in different namespaces but share files.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping

from ubypass.errors import UbError

__all__ = ["numbers_here", "numbers_of", "own_namespace", "require_own_proc"]

_NS_GET_PARENT = 0xB702  # linux/nsfs.h


def own_namespace() -> int:
    """The inode number of this process' PID namespace; 0 if unknown."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return 0


def require_own_proc() -> None:
    """Check that /proc shows the PID namespace of this process.

    Raises ``UbError`` if /proc belongs to another PID namespace or is not mounted.
    """
    try:
        shown = os.readlink("/proc/self")
    except OSError:
        shown = ""
    if shown != str(os.getpid()):
        raise UbError(
            "/proc is not mounted, or shows another PID namespace than this one",
            "mount -t proc proc /proc, or use unshare --mount-proc",
        )


def numbers_of(pid: int) -> dict[int, int]:
    """The PIDs of process ``pid`` by inode number of the namespace.

    Covers the namespace of this process and those below. Empty if ``pid`` has ended.
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
        # The innermost namespace, the process' own, comes last.
        while True:
            found[os.fstat(namespace).st_ino] = numbers.pop()
            if not numbers:
                return found
            parent = fcntl.ioctl(namespace, _NS_GET_PARENT)
            os.close(namespace)
            namespace = parent
    except OSError:
        return found  # ancestors of this process' namespace are not accessible
    finally:
        os.close(namespace)


def numbers_here(namespace: int) -> Mapping[int, int]:
    """The PIDs here of all processes in ``namespace``, by their PID there."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    inside = ((numbers_of(pid).get(namespace), pid) for pid in pids)
    return {number: pid for number, pid in inside if number is not None}
