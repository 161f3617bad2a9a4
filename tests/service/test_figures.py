# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from ubypass.abi import ExitReason
from ubypass.device.types import Stats
from ubypass.device.uapi import Decline
from ubypass.engine.summary import Summary
from ubypass.service.figures import RuleFigures, Totals


def _summary(regions: int = 0, always: Decline = Decline.NONE) -> Summary:
    stats = Stats(
        native=10,
        dispatched=30,
        runs=5,
        exits={ExitReason.BUDGET: 2},
        declines={Decline.WORK: 1},
        always=always,
    )
    return Summary(
        pid=1,
        name="a",
        alive=True,
        stats=stats,
        regions=regions,
        code_bytes=100 * regions,
        loads=1,
        build_seconds=0.5,
        saving_ns=100.0,
        run_ns=40.0,
        saved_ns=2800.0,
    )


def test_sums() -> None:
    totals = Totals()
    totals.add(_summary())
    before = totals.copy()
    totals.add(_summary())
    assert (totals.native, totals.dispatched, totals.runs) == (20, 60, 10)
    assert totals.saved_ns == 2 * 2800
    assert totals.exits == {"budget": 4}
    assert totals.declines == {"work": 2}
    assert before.exits == {"budget": 2}
    assert before.dispatched == 30


def test_a_rule_counts_who_was_and_who_is() -> None:
    before = Totals(native=1, dispatched=2)
    live = [_summary(regions=2), _summary(always=Decline.AUDIT)]
    figures = RuleFigures.of("r", before, live, attached=3, ended={"ended": 1})
    assert (figures.processes, figures.boosted) == (2, 1)
    assert (figures.regions, figures.code_bytes) == (2, 200)
    assert figures.declined == {"audit": 1}
    assert figures.totals.dispatched == 62
    assert before.dispatched == 2  # not counted twice the next time
    assert figures.as_json()["bypass_rate"] == 62 / 83
