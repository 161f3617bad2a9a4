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
from ubypass.engine.admission import AdmissionPolicy

_POLICY = AdmissionPolicy(model_of("zen4"))


def _gap(
    predicted: float, measured: float, count: int = 1, admitted: int | None = None
) -> Decision:
    saved = Range(-9, predicted, 99)
    return Decision("read", "write", count, saved, measured, admitted)


def test_the_measured_saving_stands_beside_the_predicted_one() -> None:
    found = figures(replayed(), "")
    decided = decide(made_up(), found, _POLICY)
    assert decided is not None
    assert decided.model == "zen4"
    first, second = decided.gaps
    assert (first.call, first.following, first.measured) == ("read", "write", 55)
    assert second.measured == 50
    assert first.chosen
    assert first.is_right
    assert decided.regret == 0
    assert (first.admitted, second.admitted) == (1, 1)
    assert decided.engine_ns == 105


def test_nothing_is_compared_without_the_whole_mode() -> None:
    found = figures(replayed(Mode.HOT), "")
    assert decide(made_up(), found, _POLICY) is None
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


def test_the_engine_measures_what_it_admits() -> None:
    gaps = (
        _gap(10, 60, count=3, admitted=2),
        _gap(-10, 20, admitted=1),  # the model would leave it
        _gap(10, -40, admitted=1),  # and would boost it
        _gap(-10, 70, admitted=0),
    )
    decided = Decisions("zen4", gaps)
    assert [decided.engine_count(gap) for gap in gaps] == [2, 1, 0, 0]
    assert decided.engine_ns == 140
    assert decided.engine_regret == pytest.approx((270 - 140) / 270)
    alone = Decisions("zen4", gaps, model_decides=True)
    assert [alone.engine_count(gap) for gap in gaps] == [2, 1, 1, 0]
    assert alone.engine_ns == 100


def test_old_records_say_nothing_of_the_engine() -> None:
    found = figures(replayed(), "")
    data = as_json(found, Decisions("zen4", (_gap(10, 60, admitted=1),)))["decisions"]
    del data["model_decides"], data["engine_ns"], data["engine_regret"]
    del data["gaps"][0]["admitted"], data["gaps"][0]["engine_count"]
    old = decisions_of(data)
    assert old is not None
    assert old.regret == 0
    assert old.engine_ns is None
    assert old.engine_regret is None


def test_there_and_back() -> None:
    found = figures(replayed(), "")
    decided = Decisions("zen4", (_gap(10.5, 60, 2, 1), _gap(-10, 20)), True)
    assert decisions_of(as_json(found, decided)["decisions"]) == decided
    assert decisions_of(None) is None
    with pytest.raises(KeyError):
        decisions_of({"model": "zen4"})


def test_where_nothing_can_be_gained_there_is_no_regret() -> None:
    assert Decisions("zen4", (_gap(-10, -70),)).regret == 0
    assert Decisions("zen4", ()).regret == 0


def test_as_json() -> None:
    found = figures(replayed(), "here")
    data = as_json(found, decide(made_up(), found, _POLICY))
    assert data["cpu"] == "here"
    assert data["decisions"]["model"] == "zen4"
    assert data["decisions"]["engine_regret"] == 0
    (first, _) = data["decisions"]["gaps"]
    assert first["measured_ns"] == 55
    assert (first["admitted"], first["engine_count"]) == (1, 1)
