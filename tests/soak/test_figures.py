# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os

from tests.soak.figures import SLOTS, Counters, Figure, table


def test_counters_outlive_who_counts() -> None:
    counters = Counters()
    counters.add(0, Figure.LOADED)
    pid = os.fork()
    if pid == 0:
        counters.add(SLOTS - 1, Figure.LOADED, 41)
        counters.add(SLOTS - 1, Figure.OTHER, 2)
        os._exit(0)
    os.waitpid(pid, 0)
    totals = counters.totals()
    assert (totals[Figure.LOADED], totals[Figure.OTHER]) == (42, 2)
    assert sum(totals.values()) == 44


def test_each_figure_has_a_line_with_its_rate() -> None:
    counters = Counters()
    counters.add(3, Figure.DISPATCHED, 6_000_000)
    lines = table(counters.totals(), 60.0)
    assert len(lines) == len(Figure)
    assert lines[0].split() == ["6,000,000", "100,000.0", "/s", "calls", "dispatched"]
