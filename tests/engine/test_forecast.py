# SPDX-License-Identifier: GPL-2.0-only
"""Tests of ubypass.engine.forecast."""

from __future__ import annotations

import pytest

from ubypass.engine.forecast import RUN, Forecast, Saving


def test_a_short_gap_saves_nearly_a_transition() -> None:
    forecast = Forecast(transition=200.0, straight=0.5)
    saving = forecast.saving(range(40), 240)
    assert saving.timed == pytest.approx(180.0)
    assert saving.counted == pytest.approx(160.0)
    assert not forecast.is_hopeless(range(40), 240)


def test_straight_code_grows_until_it_loses() -> None:
    forecast = Forecast(transition=200.0, straight=0.5)
    assert not forecast.is_hopeless(range(390), 590)
    assert forecast.is_hopeless(range(410), 610)


def test_a_loop_hardly_grows() -> None:
    forecast = Forecast(transition=200.0, straight=0.5, turns=0.05)
    turns = list(range(10)) * 200
    # A two-hundredth is the first turn.
    assert forecast.saving(turns, 2200).timed == pytest.approx(195 - 0.05 * 1990)
    assert not forecast.is_hopeless(turns, 2200)
    assert forecast.is_hopeless(list(range(10)) * 1000, 10_200)


def test_a_gap_of_unknown_cost_is_tried_unless_it_is_huge() -> None:
    forecast = Forecast(distinct=100)
    assert not forecast.is_hopeless(range(100), 0)
    assert not forecast.is_hopeless((), 0)
    assert forecast.is_hopeless(range(101), 0)


def test_a_few_instructions_are_tried_however_long_they_took() -> None:
    assert not Forecast().is_hopeless(range(40), 100_000)


def test_a_run_earns_by_time_or_by_count() -> None:
    forecast = Forecast(run=100.0)
    assert not forecast.earns(Saving(RUN - 1, 99.0))
    assert forecast.earns(Saving(RUN, -50.0))
    assert forecast.earns(Saving(-50.0, 100.0))
    # Where the time of a run is not known, any saving will do.
    assert Forecast().earns(Saving(0.0, 0.0))


def test_savings_add_up_and_the_better_one_wins_in_each() -> None:
    assert Saving(1.0, 2.0) + Saving(3.0, -4.0) == Saving(4.0, -2.0)
    assert Saving(1.0, 2.0).most(Saving(3.0, -4.0)) == Saving(3.0, 2.0)
