# SPDX-License-Identifier: GPL-2.0-only
"""The service's counters: by rule, never by process, so their number is bounded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ubypass.engine.summary import Summary

__all__ = ["DETACHMENT_REASONS", "RuleFigures", "Snapshot", "Totals"]

#: Why the service, or its end, detaches a process (docs/service.md).
DETACHMENT_REASONS: Final = (
    *("ended", "paused", "released", "reload", "unmatched", "withdrawn"),
)


@dataclass(slots=True)
class Totals:
    """Sums over processes since the start of the service; names as in ``Summary``."""

    native: int = 0
    dispatched: int = 0
    runs: int = 0
    filtered: int = 0
    loads: int = 0
    build_seconds: float = 0.0
    saved_ns: float = 0.0
    exits: Counter[str] = field(default_factory=Counter)
    declines: Counter[str] = field(default_factory=Counter)

    def add(self, summary: Summary) -> None:
        """Add the counters of a process."""
        stats = summary.stats
        self.native += stats.native
        self.dispatched += stats.dispatched
        self.runs += stats.runs
        self.filtered += stats.filtered
        self.loads += summary.loads
        self.build_seconds += summary.build_seconds
        self.saved_ns += summary.saved_ns or 0.0
        for reason, number in stats.exits.items():
            self.exits[reason.name.lower()] += number
        for decline, number in stats.declines.items():
            self.declines[decline.name.lower()] += number

    def copy(self) -> Totals:
        """An independent copy."""
        return Totals(
            self.native,
            self.dispatched,
            self.runs,
            self.filtered,
            self.loads,
            self.build_seconds,
            self.saved_ns,
            Counter(self.exits),
            Counter(self.declines),
        )


@dataclass(frozen=True, slots=True)
class RuleFigures:
    """The figures of one rule.

    ``processes``: attached now; ``boosted``: the number with a live region;
    ``declined``: the number that is native for a lasting reason, by name of the reason.
    ``regions`` and ``code_bytes`` are live now. ``attached``, ``ended`` (by reason) and
    ``totals`` count since the start of the service.
    """

    name: str
    processes: int
    boosted: int
    declined: Mapping[str, int]
    regions: int
    code_bytes: int
    attached: int
    ended: Mapping[str, int]
    totals: Totals

    @staticmethod
    def of(
        name: str,
        before: Totals,
        live: Iterable[Summary],
        *,
        attached: int,
        ended: Mapping[str, int],
    ) -> RuleFigures:
        """Sum up ``live`` processes and ``before``, the totals of detached ones."""
        totals = before.copy()
        declined: Counter[str] = Counter()
        processes = boosted = regions = code = 0
        for summary in live:
            totals.add(summary)
            processes += 1
            boosted += bool(summary.regions)
            regions += summary.regions
            code += summary.code_bytes
            if summary.stats.always:
                declined[summary.stats.always.name.lower()] += 1
        return RuleFigures(
            name,
            processes,
            boosted,
            dict(declined),
            regions,
            code,
            attached,
            dict(ended),
            totals,
        )

    def as_json(self) -> dict[str, Any]:
        """Plain data; names are part of the interface of ``ub service status``."""
        totals = self.totals
        calls = totals.native + totals.dispatched
        return {
            "name": self.name,
            "processes": self.processes,
            "boosted": self.boosted,
            "declined": dict(self.declined),
            "regions": self.regions,
            "code_bytes": self.code_bytes,
            "attached": self.attached,
            "ended": dict(self.ended),
            "calls": calls,
            "dispatched": totals.dispatched,
            "bypass_rate": totals.dispatched / calls if calls else 0.0,
            "saved_seconds": totals.saved_ns / 1e9,
            "build_seconds": totals.build_seconds,
        }


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All figures at one time, immutable.

    Times are seconds since the epoch; ``cpu_seconds``: CPU time of the daemon;
    ``waiting``: matching processes that are not attached because of a limit;
    ``refused``: failed attachments by rule; ``totals``: sums over all processes,
    including processes of removed rules; ``looks``: the number of scans; ``store``:
    counters of the store (``ubypass.store.figures``), None: there is none.
    """

    time: float
    started: float
    paused: str
    rules: tuple[RuleFigures, ...]
    totals: Totals
    waiting: int
    refused: Mapping[str, int]
    reloads: Mapping[str, int]
    reloaded: float
    reload_error: str
    cpu_seconds: float
    memory_bytes: int
    throttled_seconds: float
    looks: int
    store: Mapping[str, int] | None = None
