# SPDX-License-Identifier: GPL-2.0-only
"""How many calls a thread makes for its CPU time, undisturbed: by counters that the
kernel keeps anyway.

It counts reads and writes of files and pipes for ``/proc/PID/task/TID/io``. What part
of all calls these are does not change by being looked at, so bursts tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["COUNTED", "reads_and_writes"]

#: How often a call counts: read, write, pread64, pwrite64, readv, writev, sendfile,
#: preadv, pwritev, copy_file_range, preadv2, pwritev2 (``inc_syscr``, ``inc_syscw``).
COUNTED: Final[Mapping[int, int]] = {
    **dict.fromkeys((0, 1, 17, 18, 19, 20, 295, 296, 327, 328), 1),
    **dict.fromkeys((40, 326), 2),
}


def reads_and_writes(pid: int, tid: int) -> int | None:
    """So far; None if the kernel does not say."""
    try:
        with open(f"/proc/{pid}/task/{tid}/io") as file:
            rows = dict(line.split(":") for line in file)
        return int(rows["syscr"]) + int(rows["syscw"])
    except (OSError, ValueError, KeyError):
        return None
