# SPDX-License-Identifier: GPL-2.0-only
"""The measurement of a server in one configuration, and its form as JSON."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ubypass.bench.records import Machine, write_json
from ubypass.errors import UbError
from ubypass.files import read_text

__all__ = [
    "CHANCE",
    "Run",
    "ServerRecord",
    "read_server_records",
    "write_server_records",
]

#: Share of calls dispatched below which costs differ only by chance.
CHANCE = 0.01


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the load against a server that has settled.

    ``requests`` answered; ``cpu_ns``: CPU time of the server's processes;
    ``elapsed_ns``: of the machine's clock.
    """

    requests: int
    cpu_ns: int
    elapsed_ns: int

    @property
    def cost(self) -> float:
        """CPU time per request, in ns."""
        return self.cpu_ns / self.requests

    @property
    def rate(self) -> float:
        """Requests per second of the machine's clock."""
        return self.requests * 1e9 / self.elapsed_ns

    @property
    def time(self) -> float:
        """Time per request on the machine's clock, in ns; the client's included."""
        return self.elapsed_ns / self.requests


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """One server in one configuration on one machine.

    ``server`` and ``case``: its names. ``before``, ``boosted`` and ``after``: the runs,
    in this order. ``by_time``: the cost is time of the machine's clock instead of CPU
    time of the server. ``calls``: system calls per request, counted natively by the
    kernel.

    Of the boosted runs: ``dispatched`` share of calls, ``exits`` per request by reason,
    live ``regions``, ``loads`` so far, ``build_s``: CPU time of builds in seconds,
    ``engine_share``: share of one CPU that the engine used. ``steady_s``: seconds from
    the load's start to the steady state, None if it was not reached; ``first_boost_s``:
    seconds to the first dispatch. ``saved_ns``: per request, by the prices that the
    engine decides by: the model ``priced_by``, or the clock; not a measurement of the
    request.

    ``transition``: cost of a call into the kernel and back, in ``unit``. ``checked``:
    number of replies compared with the expected ones; ``wrong``: those that differed.
    ``notes``: of the engine; where next to nothing was dispatched, one for each native
    site as well.
    ``command`` repeats the measurement; ``date`` is its date. ``version``: the program
    that was run, by its own words ("redis 7.0.15"), "" if it has none. ``means``:
    reports show means and standard deviations beside the medians.
    """

    server: str
    case: str
    before: tuple[Run, ...]
    boosted: tuple[Run, ...]
    after: tuple[Run, ...]
    calls: float
    dispatched: float
    exits: dict[str, float]
    regions: int
    loads: int
    build_s: float
    engine_share: float
    steady_s: float | None
    first_boost_s: float | None
    transition: float
    checked: int
    wrong: int
    notes: tuple[str, ...]
    command: str
    date: str
    machine: Machine
    by_time: bool = False
    saved_ns: float = 0.0
    priced_by: str = ""
    version: str = ""
    means: bool = False

    @property
    def native_cost(self) -> float:
        """Median cost of all native runs: CPU time, or time, per request in ns."""
        return statistics.median(self.native_costs)

    @property
    def boosted_cost(self) -> float:
        """Median cost of the boosted runs, in the same unit."""
        return statistics.median(self.boosted_costs)

    @property
    def native_costs(self) -> tuple[float, ...]:
        """Cost of each native run, in ns."""
        return tuple(map(self._cost, (*self.before, *self.after)))

    @property
    def boosted_costs(self) -> tuple[float, ...]:
        """Cost of each boosted run, in ns."""
        return tuple(map(self._cost, self.boosted))

    @property
    def native_mean(self) -> float:
        """Mean cost of all native runs, in ns."""
        return statistics.fmean(self.native_costs)

    @property
    def boosted_mean(self) -> float:
        """Mean cost of the boosted runs, in ns."""
        return statistics.fmean(self.boosted_costs)

    @property
    def native_deviation(self) -> float:
        """Standard deviation of the native runs, in ns; 0 for a single run."""
        return _deviation(self.native_costs)

    @property
    def boosted_deviation(self) -> float:
        """Standard deviation of the boosted runs, in ns; 0 for a single run."""
        return _deviation(self.boosted_costs)

    @property
    def ratio(self) -> float:
        """Boosted to native cost; below 1 is a gain."""
        return self.boosted_cost / self.native_cost

    @property
    def spread(self) -> float:
        """The range of native runs as a share of their median."""
        costs = self.native_costs
        return (max(costs) - min(costs)) / statistics.median(costs)

    @property
    def capture(self) -> float | None:
        """The gain as a share of the cost of all transitions.

        None without calls, and where almost none is dispatched: there runs differ by
        chance, and ``ratio`` shows how much.
        """
        possible = self.calls * self.transition
        gain = self.native_cost - self.boosted_cost
        if possible <= 0 or self.dispatched < CHANCE:
            return None
        return gain / possible

    def as_json(self) -> dict[str, Any]:
        """Plain data; the names are part of the interface of ``--json``."""
        capture = self.capture
        native = (*self.before, *self.after)
        return {
            "server": self.server,
            "case": self.case,
            "unit": self.machine.unit,
            "native_cost": round(self.native_cost, 1),
            "boosted_cost": round(self.boosted_cost, 1),
            "native_mean": round(self.native_mean, 1),
            "native_deviation": round(self.native_deviation, 1),
            "boosted_mean": round(self.boosted_mean, 1),
            "boosted_deviation": round(self.boosted_deviation, 1),
            "ratio": round(self.ratio, 5),
            "spread": round(self.spread, 5),
            "capture": None if capture is None else round(capture, 4),
            "native_rate": round(statistics.median(r.rate for r in native), 1),
            "boosted_rate": round(statistics.median(r.rate for r in self.boosted), 1),
            **{
                field.name: getattr(self, field.name)
                for field in dataclasses.fields(self)
                if field.name not in ("machine", "before", "boosted", "after")
            },
            **{
                name: [dataclasses.asdict(run) for run in getattr(self, name)]
                for name in ("before", "boosted", "after")
            },
            **dataclasses.asdict(self.machine),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ServerRecord:
        """The inverse of :meth:`as_json`; derived values are recomputed."""
        own = {f.name: data[f.name] for f in dataclasses.fields(cls) if f.name in data}
        for name in ("before", "boosted", "after"):
            own[name] = tuple(Run(**run) for run in data[name])
        own["notes"] = tuple(data["notes"])
        return cls(**{**own, "machine": Machine.from_json(data)})

    def _cost(self, run: Run) -> float:
        return run.time if self.by_time else run.cost


def _deviation(costs: Sequence[float]) -> float:
    return statistics.stdev(costs) if len(costs) > 1 else 0.0


def write_server_records(
    path: Path, records: Sequence[ServerRecord], beside: Sequence[dict[str, Any]] = ()
) -> None:
    """Write an array of ``records``, then of ``beside``. Raises UbError."""
    write_json(path, [*(record.as_json() for record in records), *beside])


def read_server_records(path: Path) -> list[ServerRecord]:
    """Read the records of :func:`write_server_records`, without those of rivals.

    Raises UbError for other contents.
    """
    try:
        return [
            ServerRecord.from_json(item)
            for item in json.loads(read_text(path))
            if "rival" not in item
        ]
    except (ValueError, TypeError, KeyError) as error:
        raise UbError(f"{path} contains no records of 'ub bench server'") from error
