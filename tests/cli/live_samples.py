# SPDX-License-Identifier: GPL-2.0-only
"""Made-up data of live processes, as ``--json`` prints it."""

from __future__ import annotations

from typing import Any

from ubypass.abi import ExitReason
from ubypass.device.types import Stats
from ubypass.engine.summary import Summary

__all__ = ["NASTY", "explained", "process", "region", "site"]

NASTY = "<b>looper</b> & x"


def process(**changes: Any) -> dict[str, Any]:
    """A process as ``ub stats --json`` has it."""
    counters = Stats(
        native=10,
        dispatched=990,
        runs=3,
        exits={ExitReason.RET_MISS: 2, ExitReason.FAULT: 1},
    )
    summary = Summary(4242, NASTY, True, counters, regions=1, code_bytes=600)
    return {**summary.as_json(), **changes}


def site(**changes: Any) -> dict[str, Any]:
    """A site of :func:`explained`."""
    values = {
        "address": 0x1002,
        "symbol": NASTY,
        "nr": 0,
        "call": "read",
        "decision": "boosted",
        "native_ns": 376,
        "boosted_ns": 504,
        "overhead_ns": 210,
        "calls_per_run": 17.0,
        "saved_per_gap_ns": 149.0,
        "saved_per_run_ns": 2443.0,
    }
    return {**values, **changes}


def region() -> dict[str, Any]:
    """A region of :func:`explained`."""
    exits = [
        {"number": 0, "address": 1, "symbol": NASTY, "reason": "fault", "count": 9},
        {"number": 1, "address": 2, "symbol": "g", "reason": "ret_miss", "count": 4},
    ]
    line = {"address": 0x1002, "symbol": "f", "user": "mov eax,39", "offset": 4}
    return {
        **{"region": 3, "pid": 4242, "name": NASTY, "instructions": 5},
        **{"source_bytes": 9, "code_bytes": 99, "dispatched": 1, "runs": 1},
        "exits": exits,
        "nonpointers": [{"address": 1, "symbol": "h+0x2", "registers": ["rbx"]}],
        "lines": [{**line, "code": "mov eax,39 <x>", "note": "why"}],
    }


def explained(**changes: Any) -> dict[str, Any]:
    """A process as ``ub explain --json`` has it."""
    return {
        "pid": 4242,
        "name": NASTY,
        "priced_by": "zen4",
        "reason": None,
        "hint": None,
        "filtered": 0,
        "trusted": True,
        "sites": [site(), site(native_ns=None, boosted_ns=None, symbol="")],
        "regions": [region()],
        **changes,
    }
