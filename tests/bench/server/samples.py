# SPDX-License-Identifier: GPL-2.0-only
"""Made-up records of servers that tests of this package share."""

from __future__ import annotations

from typing import Any

from tests.bench.samples import ICOUNT
from ubypass.bench.server.beside import Beside
from ubypass.bench.server.record import Run, ServerRecord


def runs(*costs: int) -> tuple[Run, ...]:
    """Runs of 1000 requests that cost so much each, on a CPU half idle."""
    return tuple(Run(1000, cost * 1000, cost * 2000) for cost in costs)


def server_record(**changes: Any) -> ServerRecord:
    values: dict[str, Any] = {
        "server": "redis",
        "case": "GET 64",
        "before": runs(10_000, 10_010),
        "boosted": runs(9_800, 9_900, 9_850),
        "after": runs(9_990, 10_000),
        "calls": 2.0,
        "dispatched": 0.5,
        "exits": {"frontier": 0.5},
        "regions": 1,
        "loads": 2,
        "build_s": 0.25,
        "engine_share": 0.001,
        "steady_s": 2.5,
        "first_boost_s": 0.5,
        "transition": 200.0,
        "checked": 100,
        "wrong": 0,
        "notes": (),
        "command": "ub bench server redis",
        "date": "2026-01-01 00:00",
        "machine": ICOUNT,
    }
    return ServerRecord(**(values | changes))


def beside(**changes: Any) -> Beside:
    values: dict[str, Any] = {
        "rival": "F-Stack",
        "server": "redis",
        "case": "GET 64",
        "runs": runs(20_000),
        "checked": 100,
        "wrong": 0,
        "not_run": "",
        "command": "ub bench server redis --beside fstack",
        "date": "2026-01-01",
        "machine": ICOUNT,
    }
    return Beside(**(values | changes))
