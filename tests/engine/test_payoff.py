# SPDX-License-Identifier: GPL-2.0-only
"""Regions that do not pay are told from those that do."""

from __future__ import annotations

from ubypass.device.types import Stats
from ubypass.engine.payoff import Payoff


def test_many_dispatches_per_run_are_kept() -> None:
    payoff = Payoff()
    for second in range(1, 20):
        assert not payoff.loses(Stats(runs=1000 * second, dispatched=50_000 * second))


def test_runs_without_dispatches_are_condemned_after_two_windows() -> None:
    payoff = Payoff(strikes=2)
    payoff.forgive(Stats(runs=10, dispatched=1_000_000))
    assert not payoff.loses(Stats(runs=5_000, dispatched=1_000_010))
    assert payoff.loses(Stats(runs=10_000, dispatched=1_000_020))


def test_one_good_window_makes_up_for_a_bad_one() -> None:
    payoff = Payoff(strikes=2)
    assert not payoff.loses(Stats(runs=1_000, dispatched=0))
    assert not payoff.loses(Stats(runs=2_000, dispatched=90_000))
    assert not payoff.loses(Stats(runs=3_000, dispatched=90_000))


def test_few_runs_are_no_evidence() -> None:
    payoff = Payoff(runs=500)
    for second in range(1, 4):
        assert not payoff.loses(Stats(runs=100 * second))


def test_a_slow_trickle_adds_up() -> None:
    payoff = Payoff(runs=500, strikes=1)
    verdicts = [payoff.loses(Stats(runs=200 * n, dispatched=n)) for n in range(1, 4)]
    assert verdicts == [False, False, True]


def test_a_region_that_grows_has_more_time_but_not_for_ever() -> None:
    payoff = Payoff(strikes=2, patience=5)
    verdicts = [payoff.loses(Stats(runs=1_000 * n), growing=True) for n in range(1, 7)]
    assert verdicts == [False] * 4 + [True] * 2
