# SPDX-License-Identifier: GPL-2.0-only
"""What one measurement found, as data that outlives the program.

The figures of merit are defined here and nowhere else (docs: measuring).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ubypass.errors import UbError
from ubypass.files import read_text, write_text

__all__ = [
    "BOOSTED",
    "Machine",
    "Record",
    "read_records",
    "write_json",
    "write_records",
]


#: Share of a loop's calls that must have been dispatched for it to count as boosted.
BOOSTED = 0.9


@dataclass(frozen=True, slots=True)
class Machine:
    """Where something was measured.

    ``unit`` is ``"instructions"`` where the machine's clock counts instructions, else
    ``"ns"``. ``page_table_isolation`` is whether the kernel switches page tables at
    each system call; ``accelerator`` is ``"tcg"``, ``"kvm"``, another hypervisor's
    name or ``"none"``.
    """

    kernel: str
    cpu: str
    page_table_isolation: bool
    accelerator: str
    unit: str


@dataclass(frozen=True, slots=True)
class Record:
    """One workload in one machine; times per call of the loop, in ``unit``.

    ``place`` is where the file is that is read: "memory", or a disk with its pages
    "cached" or "cold"; a cold loop's times are CPU time. ``native`` and ``boosted``:
    one turn of the loop. ``handler``: the system call's handler by itself, called in
    a loop in the kernel, what that loop costs taken off; of a cold loop, what
    ``native`` leaves of it besides ``gap`` and the transition of an empty call.
    ``gap``: the user code of one turn; in ``unit``, too. ``bypass_rate``: share of
    the loop's calls that were dispatched, in the measured rounds only.
    ``first_boost_s``: from the program's start to the first dispatch, in seconds
    of the machine's clock. ``same_results``: the boosted run read the same data as
    the native one. ``why_not``: reasons for people if hardly any call was dispatched.
    """

    workload: str
    size: int
    sum: bool
    native: float
    boosted: float
    handler: float
    gap: float
    bypass_rate: float
    first_boost_s: float | None
    same_results: bool
    machine: Machine
    place: str = "memory"
    why_not: tuple[str, ...] = ()

    @property
    def is_boosted(self) -> bool:
        """Whether the figures are those of a boosted loop at all."""
        return self.bypass_rate >= BOOSTED

    @property
    def limit(self) -> float:
        """What one turn would cost if bypassing were free."""
        return self.handler + self.gap

    @property
    def dispatch_cost(self) -> float:
        """All that bypassing itself costs, per call: the gap's growth included."""
        return self.boosted - self.limit

    @property
    def capture(self) -> float | None:
        """Share of the possible gain that was gained; None if there is none."""
        possible = self.native - self.limit
        return (self.native - self.boosted) / possible if possible > 0 else None

    def as_json(self) -> dict[str, Any]:
        """Plain data; the names are part of the interface of ``--json``."""
        capture = self.capture
        return {
            "workload": self.workload,
            "size": self.size,
            "sum": self.sum,
            "place": self.place,
            "unit": self.machine.unit,
            "native": round(self.native, 2),
            "boosted": round(self.boosted, 2),
            "limit": round(self.limit, 2),
            "handler": round(self.handler, 2),
            "gap": round(self.gap, 2),
            "dispatch_cost": round(self.dispatch_cost, 2),
            "capture": None if capture is None else round(capture, 4),
            "bypass_rate": round(self.bypass_rate, 6),
            "first_boost_s": (
                None if self.first_boost_s is None else round(self.first_boost_s, 4)
            ),
            "same_results": self.same_results,
            "why_not": list(self.why_not),
            "kernel": self.machine.kernel,
            "cpu": self.machine.cpu,
            "page_table_isolation": self.machine.page_table_isolation,
            "accelerator": self.machine.accelerator,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Record:
        """The inverse of :meth:`as_json`; derived values are computed anew."""
        where = {f.name: data[f.name] for f in dataclasses.fields(Machine)}
        own = {f.name: data[f.name] for f in dataclasses.fields(cls) if f.name in data}
        own["why_not"] = tuple(own.get("why_not", ()))
        return cls(**own, machine=Machine(**where))


def write_records(path: Path, records: Sequence[Record]) -> None:
    """Write an array of records. Raises UbError."""
    write_json(path, [record.as_json() for record in records])


def write_json(path: Path, data: Sequence[Any]) -> None:
    """Write an array; the old file stays whole until the new one is."""
    write_text(path, json.dumps(data, indent=2) + "\n")


def read_records(path: Path) -> list[Record]:
    """What :func:`write_records` wrote. Raises UbError if it is something else."""
    try:
        data = json.loads(read_text(path))
        return [Record.from_json(item) for item in data]
    except (ValueError, TypeError, KeyError) as error:
        raise UbError(f"{path} holds no records of 'ub bench io'") from error
