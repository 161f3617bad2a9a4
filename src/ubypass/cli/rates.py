# SPDX-License-Identifier: GPL-2.0-only
"""Rates of boosted processes per second, from two answers of their engines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ubypass.engine.declines import HINTS, REASONS, named

__all__ = ["Rates", "rates"]


@dataclass(frozen=True, slots=True)
class Rates:
    """Of one process: ``calls``, ``dispatched`` and ``exits`` (by reason) per second.

    ``saved``: ns per second that dispatched calls save, less the cost of runs; None if
    unknown. ``why``: why nothing is boosted, with a ``hint`` if there is a remedy; ""
    if something is. ``reason``: the same in a word or two, for narrow columns.
    """

    pid: int
    name: str
    calls: float
    dispatched: float
    saved: float | None
    regions: int
    exits: Mapping[str, float] = field(default_factory=dict)
    why: str = ""
    hint: str = ""
    reason: str = ""

    @property
    def share(self) -> float:
        """Share of calls that are dispatched; 0 without calls."""
        return self.dispatched / self.calls if self.calls else 0.0


def rates(
    before: Sequence[Mapping[str, Any]],
    now: Sequence[Mapping[str, Any]],
    seconds: float,
) -> list[Rates]:
    """The rates of all processes in ``now``.

    ``before`` and ``now``: ``processes`` of ``ub stats --json``, ``seconds`` apart. All
    rates of a new process are 0.
    """
    old = {process["pid"]: process for process in before}
    return [_rates(old.get(p["pid"], p), p, max(seconds, 1e-9)) for p in now]


def _rates(before: Mapping[str, Any], now: Mapping[str, Any], seconds: float) -> Rates:
    if now["calls"] < before["calls"]:
        before = now  # another process with the same number
    dispatched = (now["dispatched"] - before["dispatched"]) / seconds
    runs = (now["runs"] - before["runs"]) / seconds
    saved = None
    if now["saving_ns"] is not None and now["run_ns"] is not None:
        saved = dispatched * now["saving_ns"] - runs * now["run_ns"]
    return Rates(
        pid=now["pid"],
        name=now["name"],
        calls=(now["calls"] - before["calls"]) / seconds,
        dispatched=dispatched,
        saved=saved,
        regions=now["regions"],
        exits={
            reason: (count - before["exits"].get(reason, 0)) / seconds
            for reason, count in now["exits"].items()
            if count > before["exits"].get(reason, 0)
        },
        **_why(now),
    )


def _why(process: Mapping[str, Any]) -> dict[str, str]:
    if process["declined_for"]:
        declined = named(process["declined_for"])
        return {
            "why": REASONS[declined],
            "hint": HINTS.get(declined, ""),
            "reason": declined.name.lower().replace("_", " "),
        }
    if process["regions"]:
        return {}
    notes: Sequence[str] = process["notes"]
    if notes:
        return {"why": notes[-1], "reason": notes[-1]}
    return {"why": "no profitable site found yet", "reason": "no site yet"}
