# SPDX-License-Identifier: GPL-2.0-only
"""One way to read a file at one size and depth, as data."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ubypass.bench.records import Machine, read_json, write_json
from ubypass.errors import UbError

__all__ = [
    "BOOSTED",
    "FIO",
    "LOOP",
    "NATIVE",
    "PLAIN",
    "REGISTERED",
    "RIVALS",
    "SQPOLL",
    "Row",
    "read_rows",
    "write_rows",
]

LOOP = "loop"
FIO = "fio"

NATIVE = "pread"
BOOSTED = "boosted"
PLAIN = "plain"
REGISTERED = "registered"
SQPOLL = "sqpoll"

#: The ways of io_uring, the simplest first.
RIVALS = (PLAIN, REGISTERED, SQPOLL)


@dataclass(frozen=True, slots=True)
class Row:
    """The cost of one read of ``size`` bytes.

    ``cost``: in the machine's unit; where the clock counts instructions, those of the
    whole machine count, kernel threads included. In ns the CPU time of all threads of
    the program counts, on all processors, those of io_uring included; ``elapsed``: the
    time itself, 0 if there is only one thread. Of fio, and of pread where it is boosted
    as well, the time itself is the cost. None without a measurement:
    ``why_not`` is the reason, and ``size`` and ``depth`` are 0 if it holds for all of
    them. ``program``: the loops of ``workloads/``, or fio. ``way``: pread native or
    boosted, or one of io_uring's. ``depth``: reads per entry into the kernel, 1 for
    pread. ``place``: "memory", or "cached" on a disk. ``workers``: kernel threads
    (iou-wrk-PID) that read for the program; ``poller``: CPU time of the polling thread,
    in ns per read. ``bypass_rate``: share of the boosted reads that were dispatched.
    ``same_results``: whether the data are those of a native read; None if not compared.
    ``command`` repeats the measurement; ``date`` is its date; "" in records without
    these fields.
    """

    program: str
    way: str
    size: int
    depth: int
    place: str
    cost: float | None
    machine: Machine
    why_not: str = ""
    workers: int = 0
    poller: float = 0.0
    elapsed: float = 0.0
    bypass_rate: float | None = None
    same_results: bool | None = True
    command: str = ""
    date: str = ""

    def as_json(self) -> dict[str, Any]:
        """Plain data; the names are part of the interface of ``--json``."""
        own = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name != "machine"
        }
        if self.cost is not None:
            own["cost"] = round(self.cost, 2)
            own["elapsed"] = round(self.elapsed, 2)
        return {**own, **dataclasses.asdict(self.machine)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Row:
        """The inverse of :meth:`as_json`."""
        own = {f.name: data[f.name] for f in dataclasses.fields(cls) if f.name in data}
        return cls(**own, machine=Machine.from_json(data))


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write an array of rows. Raises UbError."""
    write_json(path, [row.as_json() for row in rows])


def read_rows(path: Path) -> list[Row]:
    """Read the rows of :func:`write_rows`. Raises UbError for other contents."""
    try:
        return [Row.from_json(each) for each in read_json(path)]
    except (ValueError, TypeError, KeyError) as error:
        raise UbError(f"{path} contains no records of 'ub bench io --with'") from error
