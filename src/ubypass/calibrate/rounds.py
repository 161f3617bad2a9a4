# SPDX-License-Identifier: GPL-2.0-only
"""Interleaved rounds of short measurements, and the selection of undisturbed ones.

Another process, an interrupt or a sibling thread of the core makes a measurement
longer, never shorter, and affects only some of many short ones. Each round measures all
bodies, so that a change of the clock frequency affects all of them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from ubypass.calibrate.figures import Figure

__all__ = ["GROUPS", "LEAST_ROUNDS", "Loops", "Lows", "figure", "groups", "rounds"]

#: Number of groups: consecutive rounds with a figure of their own.
GROUPS = 5

#: The least number of rounds, whatever their duration.
LEAST_ROUNDS = 4 * GROUPS

# Intended ticks of one measurement: far less than a time slice, but many turns.
_TICKS = 50_000
_MOST_TURNS = 2_000
_LEAST_TURNS = 8
# Divisor of the measured turns for the warm-up turns of caches and predictors.
_BEFORE = 4

# The low end of a group: the round with this many eighths of the rounds above it.
_ABOVE = 7

# Bound of real time in multiples of CPU time, on a busy machine.
_WAITING = 4

#: Ticks of a turn by name of the body: of one round, or the low end of a group.
Lows = Mapping[str, float]


class Loops(Protocol):
    """The interface of :class:`ubypass.calibrate.timer.Timer` in use."""

    def ticks(self, name: str, before: int, turns: int) -> int:
        """Ticks of ``turns`` turns, after ``before`` warm-up turns."""


def _turns(loops: Loops, name: str) -> int:
    """The number of turns for one measurement of the body ``name``."""
    ticks = min(loops.ticks(name, 2, _LEAST_TURNS) for _ in range(3))
    each = max(ticks / _LEAST_TURNS, 1.0)
    return max(_LEAST_TURNS, min(_MOST_TURNS, round(_TICKS / each)))


def rounds(
    loops: Loops,
    names: Sequence[str],
    seconds: float,
    cpu: Callable[[], float] = time.thread_time,
    clock: Callable[[], float] = time.monotonic,
) -> list[Lows]:
    """Measure all bodies for ``seconds`` of CPU time: ticks of a turn, by round.

    Ends earlier on a busy machine, but not before ``LEAST_ROUNDS`` rounds. ``cpu`` and
    ``clock`` return seconds of this thread's CPU time and of a monotonic clock.
    """
    end, late = cpu() + seconds, clock() + _WAITING * seconds
    turns = {name: _turns(loops, name) for name in names}
    found: list[Lows] = []
    order = list(names)
    while len(found) < LEAST_ROUNDS or (cpu() < end and clock() < late):
        this = {}
        for name in order:
            count = turns[name]
            this[name] = loops.ticks(name, count // _BEFORE + 1, count) / count
        found.append(this)
        order.reverse()  # no body always follows the same one
    return found


def groups(found: Sequence[Lows]) -> list[Lows]:
    """The low end of the ticks of each body, for each group of rounds."""
    size = len(found) // GROUPS
    result: list[Lows] = []
    for number in range(GROUPS):
        group = found[number * size : (number + 1) * size]
        result.append({name: _low([one[name] for one in group]) for name in group[0]})
    return result


def _low(values: Sequence[float]) -> float:
    return sorted(values)[len(values) * (8 - _ABOVE) // 8]


def figure(
    found: Sequence[Lows], value: Callable[[Lows], float], ticks_per_us: float
) -> Figure:
    """The figure of ``value``, a function of ticks, over all groups."""
    each = sorted(value(group) * 1000 / ticks_per_us for group in found)
    return Figure(statistics.median(each), each[-2] - each[1])
