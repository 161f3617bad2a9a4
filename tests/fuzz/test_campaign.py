# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice

import pytest

from tests.fuzz import campaign
from tests.fuzz.campaign import Counts, run_campaign
from tests.fuzz.schedule import endless
from tests.fuzz.units import Outcome, Unit, form_code


def _some(count: int) -> Iterator[Unit]:
    return islice(endless(1), count)


def test_counts_what_it_runs() -> None:
    counts = run_campaign(_some(60), lambda counts: False, jobs=2)
    assert counts.units == 60
    assert counts.executions > 2000
    assert counts.failures == []
    assert len(counts.forms) > 50
    assert counts.missing(("MOV_RM64_R64", "NOPD"))[-1] == "NOPD"


def test_stops_when_it_is_enough() -> None:
    counts = run_campaign(_some(100_000), lambda c: c.executions > 3000, jobs=1)
    assert 3000 < counts.executions < 20_000


def test_a_process_that_dies_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def die(unit: Unit) -> Outcome:
        if unit.number == 7:
            os._exit(9)
        return Outcome(unit, executions=1)

    monkeypatch.setattr(campaign, "run_unit", die)
    units = iter([Unit("form", "x", n, 1) for n in range(100)])
    counts = run_campaign(units, lambda counts: False, jobs=1)
    assert counts.mismatches == 1
    assert "died" in counts.failures[0].failure
    # The rest was run all the same.
    assert counts.executions >= 100 - 24


def test_a_mistake_of_ours_is_no_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(unit: Unit) -> Outcome:
        raise KeyError("oops")

    monkeypatch.setattr(campaign, "run_unit", break_down)
    with pytest.raises(RuntimeError, match="oops"):
        run_campaign(_some(5), lambda counts: False, jobs=1)


def test_missing() -> None:
    counts = Counts()
    counts.add(Outcome(Unit("form", "CBW", 1, 1), hit=(form_code("CBW"),)))
    assert counts.missing(("CBW", "CQO")) == ["CQO"]
