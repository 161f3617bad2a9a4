# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from typing import Any

from ubypass.cli.rates import Rates, rates
from ubypass.device.uapi import Decline
from ubypass.engine.declines import HINTS, REASONS

_PROCESS: dict[str, Any] = {
    "pid": 7,
    "name": "one",
    "calls": 1000,
    "dispatched": 600,
    "runs": 100,
    "exits": {"work": 90},
    "saving_ns": 50.0,
    "run_ns": 20.0,
    "regions": 2,
    "declined_for": None,
    "notes": [],
}


def _later(**changes: Any) -> Rates:
    (found,) = rates([_PROCESS], [{**_PROCESS, **changes}], 2.0)
    return found


def test_figures_are_per_second() -> None:
    found = _later(calls=3000, dispatched=2200, runs=300, exits={"work": 90, "ret": 8})
    assert (found.calls, found.dispatched) == (1000.0, 800.0)
    assert found.share == 0.8
    assert found.saved == 800.0 * 50 - 100 * 20
    assert found.exits == {"ret": 4.0}
    assert found.why == ""


def test_who_has_just_come_has_no_rates_yet() -> None:
    (found,) = rates([], [_PROCESS], 2.0)
    assert (found.calls, found.dispatched, found.share) == (0.0, 0.0, 0.0)
    # Nor has another process of the same number.
    assert _later(calls=10, dispatched=0, runs=0, exits={}).calls == 0.0


def test_nothing_is_said_of_what_is_not_known() -> None:
    assert _later(saving_ns=None).saved is None


def test_why_nothing_is_boosted() -> None:
    declined = _later(regions=0, declined_for="shadow_stack")
    assert declined.why == REASONS[Decline.SHADOW_STACK]
    assert declined.hint == HINTS[Decline.SHADOW_STACK]
    assert declined.reason == "shadow stack"
    assert _later(regions=0, declined_for="restart").hint == ""
    assert _later(regions=0, notes=["old", "new"]).why == "new"
    assert _later(regions=0).why == "no profitable site found yet"
    assert _later(regions=0).reason == "no site yet"
    assert _later().reason == ""


def test_words_for_narrow_columns_fit_one_of_80() -> None:
    for each in Decline:
        if each:
            found = _later(regions=0, declined_for=each.name.lower())
            assert 0 < len(found.reason) <= 19
