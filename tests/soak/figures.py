# SPDX-License-Identifier: GPL-2.0-only
"""Counters that outlive who counts: in a page that is shared with children."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from enum import IntEnum

__all__ = ["SLOTS", "Counters", "Figure", "table"]

#: Of counters; each is written by one process at a time.
SLOTS = 16


class Figure(IntEnum):
    """What is counted."""

    DISPATCHED = 0
    RUNS = 1
    FAULTS = 2
    ATTACHED = 3
    DETACHED = 4
    LOADED = 5
    REPLACED = 6
    UNLOADED = 7
    INVALIDATED = 8
    CHANGED = 9
    FULL = 10
    REFUSED = 11
    CLIENTS_KILLED = 12
    PROGRAMS_KILLED = 13
    RELOADED = 14
    HOTPLUGS = 15
    MOVES = 16
    SIGNALS = 17
    BREAKPOINTS = 18
    UPROBES = 19
    TRACED = 20
    PRESSED = 21
    OTHER = 22
    NAMESPACES = 23
    EXHAUSTED = 24


_WORDS = {
    Figure.DISPATCHED: "calls dispatched",
    Figure.RUNS: "runs",
    Figure.FAULTS: "faults taken as exits",
    Figure.ATTACHED: "processes attached",
    Figure.DETACHED: "processes detached",
    Figure.LOADED: "regions loaded",
    Figure.REPLACED: "of these in the place of another one",
    Figure.UNLOADED: "regions unloaded",
    Figure.INVALIDATED: "regions invalidated",
    Figure.CHANGED: "loads refused since the code had changed",
    Figure.FULL: "loads refused since the arena was full",
    Figure.REFUSED: "other requests refused",
    Figure.CLIENTS_KILLED: "clients killed",
    Figure.PROGRAMS_KILLED: "boosted programs killed",
    Figure.RELOADED: "modules unloaded and loaded",
    Figure.HOTPLUGS: "processors switched off and on",
    Figure.MOVES: "threads moved to another processor",
    Figure.SIGNALS: "signals sent",
    Figure.BREAKPOINTS: "breakpoints planted and removed",
    Figure.UPROBES: "uprobes planted and removed",
    Figure.TRACED: "tracers attached, tracepoints switched",
    Figure.PRESSED: "times memory was made scarce",
    Figure.EXHAUSTED: "boosted processes killed for want of memory",
    Figure.OTHER: "other disturbances",
    Figure.NAMESPACES: "PID namespaces with boosted programs begun",
}


class Counters:
    """A table of counters, shared with processes that are forked later."""

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, SLOTS * len(Figure) * 8)
        self._words = memoryview(self._page).cast("Q")

    def add(self, slot: int, figure: Figure, more: int = 1) -> None:
        """Count; only one process may do so with a slot."""
        self._words[slot * len(Figure) + figure] += more

    def of(self, slot: int, figure: Figure) -> int:
        """The count of one slot."""
        return self._words[slot * len(Figure) + figure]

    def totals(self) -> dict[Figure, int]:
        """The sums of all slots."""
        words = list(self._words)
        return {figure: sum(words[figure :: len(Figure)]) for figure in Figure}


def table(totals: Mapping[Figure, int], seconds: float) -> list[str]:
    """Lines for people: counts, and rates per second."""
    rates = {figure: totals[figure] / max(seconds, 1e-9) for figure in _WORDS}
    return [
        f"{totals[figure]:>14,}  {rates[figure]:>12,.1f} /s  {words}"
        for figure, words in _WORDS.items()
    ]
