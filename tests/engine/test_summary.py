# SPDX-License-Identifier: GPL-2.0-only
"""Figures derived from counters."""

from __future__ import annotations

import json

from ubypass.abi import ExitReason
from ubypass.device.types import Stats
from ubypass.engine.summary import Summary


def test_rates_and_times() -> None:
    stats = Stats(
        native=25,
        dispatched=75,
        exits={ExitReason.RET_MISS: 3, ExitReason.FAULT: 0},
        first_run_ns=1_500_000_000,
    )
    summary = Summary(1, "p", True, stats, started_ns=1_000_000_000)
    assert summary.calls == 100
    assert summary.bypass_rate == 0.75
    assert summary.first_boost_seconds == 0.5
    data = json.loads(json.dumps(summary.as_json()))
    assert data["exits"] == {"ret_miss": 3}
    assert data["bypass_rate"] == 0.75


def test_a_process_that_did_nothing() -> None:
    summary = Summary(1, "p", True)
    assert summary.bypass_rate == 0.0
    assert summary.first_boost_seconds is None
    json.dumps(summary.as_json())
