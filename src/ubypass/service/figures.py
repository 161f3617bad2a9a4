# SPDX-License-Identifier: GPL-2.0-only
"""What the service counts: by rule, never by process, so that it stays bounded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ubypass.engine.summary import Summary

__all__ = ["RuleFigures", "Snapshot", "Totals"]


@dataclass(slots=True)
class Totals:
    """Sums over processes since the service began; names as in ``Summary``."""

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
        """Count a process in."""
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
        """One that does not change with this one."""
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
    """Of one rule: ``processes`` attached now; of these ``boosted`` have a region and
    ``declined`` are native for a lasting reason (its name, and how many).

    ``attached`` and ``ended`` (by reason) count since the service began, and so does
    ``totals``. ``regions`` and ``code_bytes`` are those that live now.
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
        """``before``: those of processes that are not attached any more."""
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
    """All figures at one time; what is shown, and nothing that changes.

    Times are seconds since the epoch, ``cpu_seconds`` those of the daemon;
    ``waiting``: processes that match while a limit keeps them from being attached;
    ``refused``: attachments that failed, by rule; ``totals``: of all processes, those
    of rules that are not there any more included.
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
