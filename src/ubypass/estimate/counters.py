# SPDX-License-Identifier: GPL-2.0-only
"""The number of calls of a thread, undisturbed, from counters of the kernel.

The kernel counts reads and writes of files and pipes for ``/proc/PID/task/TID/io``. The
share of these calls among all calls does not change under tracing, so bursts give it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["COUNTED", "reads_and_writes"]

#: Counts for each call: read, write, pread64, pwrite64, readv, writev, sendfile,
#: preadv, pwritev, copy_file_range, preadv2, pwritev2 (``inc_syscr``, ``inc_syscw``).
COUNTED: Final[Mapping[int, int]] = {
    **dict.fromkeys((0, 1, 17, 18, 19, 20, 295, 296, 327, 328), 1),
    **dict.fromkeys((40, 326), 2),
}


def reads_and_writes(pid: int, tid: int) -> int | None:
    """The number of reads and writes so far; None if the kernel does not tell."""
    try:
        with open(f"/proc/{pid}/task/{tid}/io") as file:
            rows = dict(line.split(":") for line in file)
        return int(rows["syscr"]) + int(rows["syscw"])
    except (OSError, ValueError, KeyError):
        return None
