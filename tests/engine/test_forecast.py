# SPDX-License-Identifier: GPL-2.0-only
"""Tests of ubypass.engine.forecast."""

from __future__ import annotations

import pytest

from ubypass.cost.gap import GapProfile
from ubypass.cost.model import Range, model_of
from ubypass.engine.forecast import Forecast

_SHORT = GapProfile(40, 40)
#: Between what is likely to lose and what is bound to.
_DOUBTFUL = GapProfile(1000, 1000, turns=150)
_LOSING = GapProfile(9000, 900, accesses=3000, turns=1000)


def test_savings_are_the_model_s() -> None:
    assert Forecast().saving(_SHORT) == model_of("zen4").saving(_SHORT)


def test_what_must_not_be_translated() -> None:
    for final in (False, True):
        forecast = Forecast(is_final=final)
        assert forecast.objection(_SHORT) == ""
        assert "would lose" in forecast.objection(_LOSING)
        assert "zen4" in forecast.objection(_LOSING)


def test_what_is_measured_later_gets_a_chance() -> None:
    assert Forecast().objection(_DOUBTFUL) == ""
    assert Forecast(is_final=True).objection(_DOUBTFUL)


def test_too_many_instructions() -> None:
    forecast = Forecast(distinct=100)
    assert forecast.objection(GapProfile(5000, 100)) == ""
    assert "101 different" in forecast.objection(GapProfile(5000, 101))


@pytest.mark.parametrize("final", [False, True])
def test_what_earns_a_run(final: bool) -> None:
    forecast = Forecast(is_final=final)
    run = forecast.model.run.ns
    assert forecast.earns(Range(0, run.likely, run.likely))
    assert not forecast.earns(Range(0, run.low - 1, run.low - 1))
    # Doubt is in favour of what will be measured.
    assert forecast.earns(Range(0, run.low, run.low)) is not final
