# SPDX-License-Identifier: GPL-2.0-only
"""CPU time of processes, as counted by the kernel's scheduler.

In instructions where the machine's clock counts instructions.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ubypass.errors import UbError

__all__ = ["busiest_thread", "children", "cpu_ns", "vhost_threads"]


def cpu_ns(pids: Iterable[int], proc: Path = Path("/proc")) -> int:
    """ns that all threads of ``pids`` have run so far, kernel time included.

    Sums the schedstat of each thread, because that of a process covers its first thread
    only. Ended threads are lost, so only differences for servers with stable threads
    are exact. Raises UbError for a process that does not exist.
    """
    total = 0
    for pid in pids:
        tasks = list((proc / str(pid) / "task").glob("*/schedstat"))
        if not tasks:
            raise UbError(f"process {pid} ended while it was being measured")
        for file in tasks:
            try:
                total += int(file.read_text().split()[0])
            except (OSError, IndexError, ValueError):
                continue  # the thread has just ended
    return total


def busiest_thread(pid: int, proc: Path = Path("/proc")) -> int:
    """The thread of ``pid`` that has run for the longest time.

    Raises UbError for a process that does not exist.
    """
    spent: dict[int, int] = {}
    for file in (proc / str(pid) / "task").glob("*/schedstat"):
        try:
            spent[int(file.parent.name)] = int(file.read_text().split()[0])
        except (OSError, IndexError, ValueError):
            continue  # the thread has just ended
    if not spent:
        raise UbError(f"process {pid} ended while it was being measured")
    return max(spent, key=lambda thread: spent[thread])


def children(pid: int, proc: Path = Path("/proc")) -> tuple[int, ...]:
    """The direct children of ``pid``, ascending."""
    found: set[int] = set()
    for file in (proc / str(pid) / "task").glob("*/children"):
        try:
            found.update(int(word) for word in file.read_text().split())
        except OSError:
            continue
    return tuple(sorted(found))


def vhost_threads(pid: int, proc: Path = Path("/proc")) -> tuple[int, ...]:
    """The kernel threads that move packets between ``pid`` and its TAP devices.

    Since Linux 6.4 they are threads of the process itself, and none is returned.
    """
    found = []
    for file in proc.glob("[0-9]*/comm"):
        try:
            if file.read_text().strip() == f"vhost-{pid}":
                found.append(int(file.parent.name))
        except OSError:
            continue  # the process has just ended
    return tuple(sorted(found))
