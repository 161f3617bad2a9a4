# SPDX-License-Identifier: GPL-2.0-only
"""Which system calls follow which, where tracepoints are not to be had: by ptrace.

Poorer: one thread at a time, which is held at each call; nothing is known of times,
nor of calls that wait, and how many calls there are only the kernel's counters tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from ubypass.errors import UbError
from ubypass.estimate.steps import Bounds, step
from ubypass.estimate.trace import Passed, Trace

__all__ = ["Followed"]

_CALLS = 200  # of a thread in a burst; each takes some 50 us
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
        """See :class:`~ubypass.estimate.rates.Tracepoints`; CPU time is not known."""
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
