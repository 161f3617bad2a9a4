# SPDX-License-Identifier: GPL-2.0-only
"""Measures by turns, and takes of many short measurements what nothing disturbed.

Another process, an interrupt or a neighbour on the same core makes a measurement
longer, never shorter, and only some of them if they are short. What is compared is
measured by turns in each round, so that a change of the clock's frequency hits all.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from ubypass.calibrate.figures import Figure

__all__ = ["GROUPS", "LEAST_ROUNDS", "Loops", "Lows", "figure", "groups", "rounds"]

#: Parts of all rounds, one after the other, of which each has a figure of its own.
GROUPS = 5

#: Rounds that are made whatever they take.
LEAST_ROUNDS = 4 * GROUPS

# What one measurement is to take: far less than a time slice, but many turns.
_TICKS = 50_000
_MOST_TURNS = 2_000
_LEAST_TURNS = 8
# Turns before those that are measured, for caches and predictions: a part of those.
_BEFORE = 4

# Of the rounds of a group, that with so many out of eight above it.
_ABOVE = 7

# Time on the clock may be so many times that of the CPU, on a busy machine.
_WAITING = 4

#: For each body the ticks of a turn in a group's undisturbed rounds.
Lows = Mapping[str, float]


class Loops(Protocol):
    """What :class:`ubypass.calibrate.timer.Timer` is."""

    def ticks(self, name: str, before: int, turns: int) -> int:
        """Of ``turns`` turns, after ``before`` others."""


def _turns(loops: Loops, name: str) -> int:
    """Turns for one measurement of the body with that name."""
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

    Ends earlier if little CPU time is to be had, but not before ``LEAST_ROUNDS``.
    ``cpu`` and ``clock`` say seconds of this thread's CPU time, and of a clock.
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
        order.reverse()  # nobody always comes behind the same one
    return found


def groups(found: Sequence[Lows]) -> list[Lows]:
    """Of each group of rounds, and of each body, the low end."""
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
    """What ``value`` makes of ticks, of all groups that there are."""
    each = sorted(value(group) * 1000 / ticks_per_us for group in found)
    return Figure(statistics.median(each), each[-2] - each[1])
