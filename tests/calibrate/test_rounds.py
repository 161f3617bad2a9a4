# SPDX-License-Identifier: GPL-2.0-only
"""With loops whose ticks are made up."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest

from ubypass.calibrate.figures import Figure
from ubypass.calibrate.rounds import GROUPS, LEAST_ROUNDS, figure, groups, rounds


class _Played:
    """Turns take ``each`` ticks, or far more if somebody disturbs; time goes on."""

    def __init__(self, each: dict[str, float], disturbed: float = 0.0) -> None:
        self.each = each
        self.disturbed = disturbed
        self.now = 0.0
        self.made: list[tuple[str, int, int]] = []
        self.random = random.Random(1)

    def ticks(self, name: str, before: int, turns: int) -> int:
        self.made.append((name, before, turns))
        ticks = self.each[name] * turns
        self.now += ticks * 1e-9
        if self.random.random() < self.disturbed:
            ticks += self.random.randrange(1_000, 10_000_000)
        return round(ticks)

    def clock(self) -> float:
        return self.now


def _rounds(played: _Played, seconds: float) -> list[dict[str, float]]:
    names = list(played.each)
    found = rounds(played, names, seconds, cpu=played.clock, clock=played.clock)
    return [dict(one) for one in found]


def test_it_ends_by_itself() -> None:
    played = _Played({"a": 100.0, "b": 300.0})
    found = _rounds(played, 0.05)
    assert LEAST_ROUNDS < len(found) < 1000
    assert 0.05 <= played.now < 0.06


def test_where_time_is_short_there_still_are_some() -> None:
    played = _Played({"a": 1e9, "b": 1.0})
    assert len(_rounds(played, 0.01)) == LEAST_ROUNDS


def test_no_cpu_time_to_be_had() -> None:
    """Who waits for a CPU all the time waits for some time only."""
    played = _Played({"a": 100.0})
    found = rounds(played, ["a"], 0.01, cpu=lambda: 0.0, clock=played.clock)
    assert 0.03 < played.now < 0.05
    assert len(found) > LEAST_ROUNDS


def test_short_measurements_and_turns_before_them() -> None:
    played = _Played({"quick": 0.5, "slow": 3_000.0, "slower": 1e8})
    _rounds(played, 0.001)
    last = {name: (before, turns) for name, before, turns in played.made}
    assert last["quick"][1] == 2000
    assert last["slow"][1] == 17
    assert last["slower"][1] == 8
    assert all(before >= 1 for before, _ in last.values())


def test_nobody_always_comes_behind_the_same_one() -> None:
    played = _Played({"a": 100.0, "b": 100.0, "c": 100.0})
    _rounds(played, 0.001)
    order = [name for name, _, turns in played.made if turns > 8]
    behind = Counter(itertools.pairwise(order))
    assert min(behind["a", "b"], behind["b", "a"], behind["c", "b"]) > 1


def test_disturbances_are_left_out() -> None:
    played = _Played({"call": 200.0, "none": 20.0}, disturbed=0.6)
    found = groups(_rounds(played, 0.5))
    assert len(found) == GROUPS
    one = figure(found, lambda lows: lows["call"] - lows["none"], 2_000.0)
    assert one.ns == pytest.approx(90.0, abs=0.5)
    assert one.spread < 0.5


def test_a_figure_of_groups() -> None:
    ticks = [{"a": value} for value in (50.0, 10.0, 30.0, 20.0, 1000.0)]
    assert figure(ticks, lambda lows: lows["a"], 1_000.0) == Figure(30.0, 30.0)


def test_a_clock_that_changes_its_frequency_shows_in_the_spread() -> None:
    half = LEAST_ROUNDS * 2
    found = groups([{"a": 10.0}] * half + [{"a": 14.0}] * half)
    assert figure(found, lambda lows: lows["a"], 1_000.0).spread == pytest.approx(4.0)
