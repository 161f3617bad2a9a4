# SPDX-License-Identifier: GPL-2.0-only
"""The figures of one attachment, for people, machines and tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ubypass.device.types import Stats
from ubypass.engine.declines import counted

__all__ = ["Summary"]


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of one process since it was attached.

    ``loads``: translations made live; ``region``: the first live one; ``regions``:
    their number; ``region_instructions``: user instructions in them; ``source_bytes``
    and ``code_bytes``: the user code and its translation; ``build_seconds``: CPU time
    of all builds. ``started_ns``: when the program started or was attached
    (CLOCK_MONOTONIC). ``saving_ns`` per dispatched call and ``run_ns`` per run: the
    present prices that the engine decides by; ``saved_ns``: what all calls have saved,
    less the cost of runs, at the prices of their time; None if unknown. ``priced_by``:
    "clock" if these are times of this machine, else the name of a model. ``notes``:
    reasons for people, e.g. why it is native. ``trusted``: a trusted program, whose
    addresses are guarded and not clamped.
    """

    pid: int
    name: str
    alive: bool
    stats: Stats = field(default_factory=Stats)
    region: int = 0
    regions: int = 0
    entries: int = 0
    loads: int = 0
    region_instructions: int = 0
    source_bytes: int = 0
    code_bytes: int = 0
    build_seconds: float = 0.0
    started_ns: int = 0
    saving_ns: float | None = None
    run_ns: float | None = None
    saved_ns: float | None = None
    priced_by: str = "clock"
    notes: tuple[str, ...] = ()
    trusted: bool = False

    @property
    def calls(self) -> int:
        """Calls of allow-listed system calls, native and dispatched, if counted."""
        return self.stats.native + self.stats.dispatched

    @property
    def uncounted_seconds(self) -> float:
        """CPU time in which calls were not hooked and not counted, in seconds.

        That is the time at the beginning, and at rest. A process that ends within that
        time has no cost from the attachment.
        """
        return self.stats.uncounted_ns / 1e9

    @property
    def bypass_rate(self) -> float:
        """Share of the counted calls that were dispatched; 0 without any."""
        return self.stats.dispatched / self.calls if self.calls else 0.0

    @property
    def first_boost_seconds(self) -> float | None:
        """Seconds from the program's start (or attaching) to its first dispatch."""
        first = self.stats.first_run_ns
        return (first - self.started_ns) / 1e9 if first else None

    def as_json(self) -> dict[str, Any]:
        """Plain data; names are part of the interface of ``--json``."""
        stats = self.stats
        return {
            "pid": self.pid,
            "name": self.name,
            "alive": self.alive,
            "trusted": self.trusted,
            "calls": self.calls,
            "uncounted_seconds": self.uncounted_seconds,
            "resting": stats.resting,
            "native": stats.native,
            "dispatched": stats.dispatched,
            "bypass_rate": self.bypass_rate,
            "runs": stats.runs,
            "declined": stats.declined,
            "declines": counted(stats.declines),
            "filtered": stats.filtered,
            "declined_for": stats.always.name.lower() if stats.always else None,
            "exits": {
                reason.name.lower(): count
                for reason, count in stats.exits.items()
                if count
            },
            "events_lost": stats.events_lost,
            "region": self.region,
            "regions": self.regions,
            "entries": self.entries,
            "loads": self.loads,
            "region_instructions": self.region_instructions,
            "source_bytes": self.source_bytes,
            "code_bytes": self.code_bytes,
            "build_seconds": self.build_seconds,
            "first_boost_seconds": self.first_boost_seconds,
            "saving_ns": self.saving_ns,
            "run_ns": self.run_ns,
            "saved_ns": self.saved_ns,
            "priced_by": self.priced_by,
            "notes": list(self.notes),
        }
