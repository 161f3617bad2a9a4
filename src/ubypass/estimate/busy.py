# SPDX-License-Identifier: GPL-2.0-only
"""CPU time of threads, from ``/proc``, for the choice of threads to watch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from ubypass.process.status import threads

__all__ = ["busiest", "cpu_times", "is_running"]

_TICK_NS = 10**9 // os.sysconf("SC_CLK_TCK")


def cpu_times(pids: Iterable[int]) -> dict[int, dict[int, int]]:
    """ns of CPU time so far, by process and thread; ended ones are left out."""
    return {
        pid: {
            tid: ns for tid in threads(pid) if (ns := _cpu_time(pid, tid)) is not None
        }
        for pid in pids
    }


def busiest(
    before: Mapping[int, Mapping[int, int]],
    after: Mapping[int, Mapping[int, int]],
    most: int,
) -> dict[tuple[int, int], int]:
    """ns of CPU time between two readings, by (process, thread), if above 0.

    The ``most`` busiest, busiest first. New threads count from their start.
    """
    spent = {
        (pid, tid): ns - before.get(pid, {}).get(tid, 0)
        for pid, found in after.items()
        for tid, ns in found.items()
    }
    ranked = sorted(spent.items(), key=lambda row: (-row[1], row[0]))
    return dict([row for row in ranked if row[1] > 0][:most])


def is_running(tid: int) -> bool:
    """Whether the thread runs or is runnable: not asleep in a system call."""
    try:
        with open(f"/proc/{tid}/syscall") as file:
            return file.read().startswith("running")
    except OSError:
        return _state(tid) == "R"


def _state(tid: int) -> str:
    try:
        with open(f"/proc/{tid}/stat", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""


def _cpu_time(pid: int, tid: int) -> int | None:
    path = f"/proc/{pid}/task/{tid}"
    try:
        with open(f"{path}/schedstat") as file:
            return int(file.read().split()[0])
    except (OSError, ValueError, IndexError):
        pass  # a kernel without schedstat, or the thread has ended
    try:
        with open(f"{path}/stat", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * _TICK_NS
    except (OSError, ValueError, IndexError):
        return None
