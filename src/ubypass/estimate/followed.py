# SPDX-License-Identifier: GPL-2.0-only
"""The order of system calls by ptrace, where tracepoints are not available.

Less complete: one thread at a time, stopped at each call. There are no times and no
data on waiting calls, and the call rate comes from the kernel's counters alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from ubypass.errors import UbError
from ubypass.estimate.steps import Bounds, step
from ubypass.estimate.trace import Passed, Trace

__all__ = ["Followed"]

_CALLS = 200  # of a thread in a burst, at most; each takes some 50 us
_THREADS = 2


class Followed:
    """Follows the busiest threads, one after the other."""

    name = "ptrace"
    has_times = False
    call_ns = 50_000.0
    gap_ns = 0.0

    def burst(
        self,
        threads: Sequence[tuple[int, int]],
        seconds: float,
        most: int,
        *,
        times: bool = False,
    ) -> tuple[Trace, ...]:
        """See :class:`~ubypass.estimate.rates.Tracepoints`; ``cpu_ns`` is 0."""
        found = []
        for pid, tid in list(threads)[:_THREADS]:
            bounds = Bounds(seconds, 2 * seconds, calls=min(most, _CALLS))
            try:
                calls = step(tid, {}, bounds).calls
            except UbError:
                if not _is_there(pid, tid):
                    continue
                raise
            chain = tuple(
                Passed(before[0], before[1], after[0], after[1], None, False)
                for before, after in pairwise(calls)
            )
            found.append(Trace(pid, tid, len(calls), 0.0, (chain,) if chain else ()))
        return tuple(found)


def _is_there(pid: int, tid: int) -> bool:
    try:
        with open(f"/proc/{pid}/task/{tid}/stat", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZXx"
    except (OSError, IndexError):
        return False
