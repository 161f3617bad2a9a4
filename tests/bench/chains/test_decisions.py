# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from tests.bench.chains.samples import made_up, replayed
from ubypass.bench.chains.decisions import (
    Decision,
    Decisions,
    as_json,
    decide,
    decisions_of,
)
from ubypass.bench.chains.figures import figures
from ubypass.bench.chains.job import Mode
from ubypass.cost.model import Range, model_of

_MODEL = model_of("zen4")


def _gap(predicted: float, measured: float, count: int = 1) -> Decision:
    return Decision("read", "write", count, Range(-9, predicted, 99), measured)


def test_the_measured_saving_stands_beside_the_predicted_one() -> None:
    found = figures(replayed(), "")
    decided = decide(made_up(), found, _MODEL)
    assert decided is not None
    assert decided.model == "zen4"
    first, second = decided.gaps
    assert (first.call, first.following, first.measured) == ("read", "write", 55)
    assert second.measured == 50
    assert first.chosen
    assert first.is_right
    assert decided.regret == 0


def test_nothing_is_compared_without_the_whole_mode() -> None:
    found = figures(replayed(Mode.HOT), "")
    assert decide(made_up(), found, _MODEL) is None
    assert as_json(found, None)["decisions"] is None


def test_regret() -> None:
    gaps = (
        _gap(10, 60, count=2),  # gains and is chosen
        _gap(-10, 20),  # gains and is not
        _gap(10, -40),  # loses and is chosen
        _gap(-10, -70),  # loses and is not
    )
    decided = Decisions("zen4", gaps)
    assert [gap.is_right for gap in gaps] == [True, False, False, True]
    assert decided.possible_ns == 140
    assert decided.chosen_ns == 80
    assert decided.regret == pytest.approx(60 / 140)


def test_there_and_back() -> None:
    found = figures(replayed(), "")
    decided = Decisions("zen4", (_gap(10.5, 60, count=2), _gap(-10, 20)))
    assert decisions_of(as_json(found, decided)["decisions"]) == decided
    assert decisions_of(None) is None
    with pytest.raises(KeyError):
        decisions_of({"model": "zen4"})


def test_where_nothing_can_be_gained_there_is_no_regret() -> None:
    assert Decisions("zen4", (_gap(-10, -70),)).regret == 0
    assert Decisions("zen4", ()).regret == 0


def test_as_json() -> None:
    found = figures(replayed(), "here")
    data = as_json(found, decide(made_up(), found, _MODEL))
    assert data["cpu"] == "here"
    assert data["decisions"]["model"] == "zen4"
    assert data["decisions"]["gaps"][0]["measured_ns"] == 55
