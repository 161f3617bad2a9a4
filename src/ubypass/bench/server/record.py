# SPDX-License-Identifier: GPL-2.0-only
"""What was measured of a server in one configuration, and its form as JSON."""

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

__all__ = ["Run", "ServerRecord", "read_server_records", "write_server_records"]

#: Share of calls dispatched below which costs differ by chance.
_CHANCE = 0.01


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the load against a server that has settled.

    ``requests`` answered, ``cpu_ns`` that the server's processes ran meanwhile, and
    ``elapsed_ns`` of the machine's clock.
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

    ``server`` and ``case`` name it. ``before``, ``boosted`` and ``after`` are the
    runs, in this order. ``by_time``: what counts is time on the machine's clock and
    not CPU time of the server. ``calls``: system calls per request, counted
    natively by the kernel. Of the boosted runs: the ``dispatched`` share of calls,
    ``exits`` per request by reason, live ``regions``, ``loads`` of them so far,
    ``build_s`` spent translating, ``engine_share`` of one CPU that the engine took.
    ``steady_s``: from the load's start to the steady state, None if it was not
    reached; ``first_boost_s``: to the first dispatch. ``saved_ns``: of each request, by
    what the engine decides by, which ``priced_by`` names: the model of a processor, or
    the clock. That is no measurement of the request itself. ``transition``: what a call
    into the kernel and back costs, in ``unit``. ``checked`` replies were compared with
    what they should be, ``wrong`` of them differed. ``command`` repeats all this;
    ``date`` is that of the measurement.
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

    @property
    def native_cost(self) -> float:
        """Median of all native runs: CPU time, or time, per request in ns."""
        return self._median((*self.before, *self.after))

    @property
    def boosted_cost(self) -> float:
        """The same of the boosted runs."""
        return self._median(self.boosted)

    @property
    def ratio(self) -> float:
        """Boosted to native cost; below 1 is a gain."""
        return self.boosted_cost / self.native_cost

    @property
    def spread(self) -> float:
        """How far native runs lie apart, as a share of their median."""
        costs = [self._cost(run) for run in (*self.before, *self.after)]
        return (max(costs) - min(costs)) / statistics.median(costs)

    @property
    def capture(self) -> float | None:
        """Gain as a share of all transitions' cost.

        None without calls, and where next to none is dispatched: there runs differ by
        chance, and the ``ratio`` says by how much.
        """
        possible = self.calls * self.transition
        gain = self.native_cost - self.boosted_cost
        if possible <= 0 or self.dispatched < _CHANCE:
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
        """The inverse of :meth:`as_json`; derived values are computed anew."""
        where = {f.name: data[f.name] for f in dataclasses.fields(Machine)}
        own = {f.name: data[f.name] for f in dataclasses.fields(cls) if f.name in data}
        for name in ("before", "boosted", "after"):
            own[name] = tuple(Run(**run) for run in data[name])
        own["notes"] = tuple(data["notes"])
        return cls(**{**own, "machine": Machine(**where)})

    def _median(self, runs: Sequence[Run]) -> float:
        return statistics.median(self._cost(run) for run in runs)

    def _cost(self, run: Run) -> float:
        return run.time if self.by_time else run.cost


def write_server_records(path: Path, records: Sequence[ServerRecord]) -> None:
    """Write an array of records. Raises UbError."""
    write_json(path, [record.as_json() for record in records])


def read_server_records(path: Path) -> list[ServerRecord]:
    """What :func:`write_server_records` wrote. Raises UbError if it is not that."""
    try:
        return [ServerRecord.from_json(item) for item in json.loads(read_text(path))]
    except (ValueError, TypeError, KeyError) as error:
        raise UbError(f"{path} holds no records of 'ub bench server'") from error
