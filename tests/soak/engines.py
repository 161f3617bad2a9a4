# SPDX-License-Identifier: GPL-2.0-only
"""An engine that boosts programs of tests/guest, until it is killed.

It finds, translates and verifies their regions as ``ub attach`` does, whatever pays.
"""

from __future__ import annotations

import contextlib
import os
import traceback
from collections.abc import Callable, Iterable

from tests.guest.boost import booster
from tests.soak.clients import FAILED
from tests.soak.figures import Counters, Figure
from ubypass.abi import ExitReason
from ubypass.engine.target import Target
from ubypass.errors import UbError

__all__ = ["engine"]

_EACH = 1.0  # seconds between two reports


class _Reporter:
    """Adds what a process has done since the last time."""

    def __init__(self, count: Callable[[Figure, int], None]) -> None:
        self._count = count
        self._before: dict[Target, dict[Figure, int]] = {}

    def report(self, target: Target) -> None:
        """Count what is new."""
        stats, summary = target.refresh_stats(), target.summary()
        now = {
            Figure.DISPATCHED: stats.dispatched,
            Figure.RUNS: stats.runs,
            Figure.FAULTS: stats.exits.get(ExitReason.FAULT, 0),
            Figure.LOADED: summary.loads,
        }
        before = self._before.get(target, {})
        for figure, value in now.items():
            self._count(figure, value - before.get(figure, 0))
        self._before[target] = now


def engine(pids: Callable[[], Iterable[int]], counters: Counters, slot: int) -> None:
    """Boost these processes until somebody kills this one."""
    try:
        with booster() as boost:
            reporter = _Reporter(lambda figure, more: counters.add(slot, figure, more))
            targets: dict[int, Target] = {}
            while True:
                for pid in pids():
                    if pid not in targets or targets[pid].gone:
                        with contextlib.suppress(UbError):
                            targets[pid] = boost.attach(pid)
                            counters.add(slot, Figure.ATTACHED)
                boost.wait(lambda: False, _EACH)
                for target in targets.values():
                    reporter.report(target)
    except BaseException:
        traceback.print_exc()
        os._exit(FAILED)
