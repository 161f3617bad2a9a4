# SPDX-License-Identifier: GPL-2.0-only
"""CPU time of processes, as the kernel's scheduler has counted it.

Where the machine's clock counts instructions, so does this.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ubypass.errors import UbError

__all__ = ["children", "cpu_ns"]


def cpu_ns(pids: Iterable[int], proc: Path = Path("/proc")) -> int:
    """Nanoseconds that all threads of ``pids`` have run so far, kernel included.

    A thread's own schedstat, because a process's is that of its first thread only.
    Threads that ended are lost, so differences are meant for stable servers. Raises
    UbError for a process that is not there.
    """
    total = 0
    for pid in pids:
        tasks = list((proc / str(pid) / "task").glob("*/schedstat"))
        if not tasks:
            raise UbError(f"process {pid} has ended while it was being measured")
        for file in tasks:
            try:
                total += int(file.read_text().split()[0])
            except (OSError, IndexError, ValueError):
                continue  # a thread that has just ended
    return total


def children(pid: int, proc: Path = Path("/proc")) -> tuple[int, ...]:
    """The direct children of ``pid``, ascending."""
    found: set[int] = set()
    for file in (proc / str(pid) / "task").glob("*/children"):
        try:
            found.update(int(word) for word in file.read_text().split())
        except OSError:
            continue
    return tuple(sorted(found))
