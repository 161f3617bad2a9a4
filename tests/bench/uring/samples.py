# SPDX-License-Identifier: GPL-2.0-only
"""Made-up rows that tests of this package share."""

from __future__ import annotations

from typing import Any

from tests.bench.samples import ICOUNT
from ubypass.bench.uring.record import (
    BOOSTED,
    LOOP,
    NATIVE,
    PLAIN,
    REGISTERED,
    SQPOLL,
    Row,
)

__all__ = ["comparison", "row"]


def row(way: str, size: int, depth: int, cost: float | None, **more: Any) -> Row:
    values: dict[str, Any] = {"program": LOOP, "place": "memory", "machine": ICOUNT}
    return Row(way=way, size=size, depth=depth, cost=cost, **(values | more))


def comparison(**more: Any) -> list[Row]:
    """Boosted is ahead at depth 1 by far, at depth 32 a little behind."""
    return [
        row(SQPOLL, 0, 0, None, why_not="not a measurement: one processor", **more),
        row(PLAIN, 64, 1, 2400.0, **more),
        row(REGISTERED, 64, 1, 2000.0, **more),
        row(PLAIN, 64, 32, 1300.0, **more),
        row(REGISTERED, 64, 32, 900.0, **more),
        row(NATIVE, 64, 1, 1400.0, **more),
        row(BOOSTED, 64, 1, 1000.0, bypass_rate=0.9999, **more),
    ]
