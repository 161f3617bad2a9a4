# SPDX-License-Identifier: GPL-2.0-only
"""The results of measurements as data.

The figures of merit are defined here and nowhere else (docs: measuring).
"""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ubypass.errors import UbError
from ubypass.files import read_text, write_text

__all__ = [
    "BOOSTED",
    "FILE_VERSION",
    "Machine",
    "Record",
    "read_json",
    "read_records",
    "today",
    "unversioned",
    "versioned",
    "write_json",
    "write_records",
]

#: Version of records in files of ``ub bench --json``; new keys do not change it.
FILE_VERSION = 1
# The key "version" of some records is that of a server.
_KEY = "record_version"

#: Share of a loop's calls that must be dispatched for the loop to count as boosted.
BOOSTED = 0.9


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine of a measurement.

    ``unit``: "instructions" where the machine's clock counts instructions, else "ns".
    ``page_table_isolation``: whether the kernel switches page tables at each system
    call. ``accelerator``: "tcg", "kvm", "unknown" (another hypervisor) or "none".
    ``erms``: whether the processor has fast string operations; the kernel then copies
    by ``rep movsb``, of which an emulator counts each byte; None in records without
    this field. ``mitigations``: the kernel's mitigations of processor vulnerabilities,
    each "name: text", in the words of sysfs.
    """

    kernel: str
    cpu: str
    page_table_isolation: bool
    accelerator: str
    unit: str
    erms: bool | None = None
    mitigations: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Machine:
        """The machine in a record's plain data, which may lack newer fields.

        Raises KeyError or TypeError for other data: a file's machines are compared with
        those of others, long after it was read.
        """
        fields = dataclasses.fields(cls)
        known = {each.name: data[each.name] for each in fields[:5]}
        erms = data.get("erms")
        mitigations = tuple(data.get("mitigations", ()))
        for name, value in known.items():
            if not isinstance(value, bool if name == "page_table_isolation" else str):
                raise TypeError(f"{name!r} is {value!r}")
        if not isinstance(erms, bool | None):
            raise TypeError(f"'erms' is {erms!r}")
        if not all(isinstance(text, str) for text in mitigations):
            raise TypeError("'mitigations' are no texts")
        return cls(**known, erms=erms, mitigations=mitigations)

    @property
    def short_unit(self) -> str:
        """The unit of times, as printed after a figure."""
        return "instructions" if self.unit == "instructions" else "ns"

    @property
    def where(self) -> str:
        """All properties on which figures depend, in one line for people."""
        isolation = "with" if self.page_table_isolation else "without"
        words = (
            f"{self.kernel}, {self.cpu}, {isolation} page-table isolation, "
            f"accelerator {self.accelerator}"
        )
        if self.unit != "instructions" or self.erms is None:
            return words
        if self.erms:
            return f"{words}, each byte of a copy counted (rep movsb)"
        return f"{words}, copies by words (no ERMS)"


@dataclass(frozen=True, slots=True)
class Record:
    """One loop on one machine; times are per call, in ``machine.unit``.

    ``place``: place of the file that is read, "memory", or a disk with its pages
    "cached" or "cold"; times of a cold loop are CPU time. ``native`` and ``boosted``:
    one turn of the loop. ``handler``: the system call's handler alone, called in a loop
    in the kernel, without the overhead of that loop; of a cold loop, ``native`` less
    ``gap`` and the transition of an empty call. ``gap``: the user code of one turn.
    ``bypass_rate``: share of calls dispatched in the measured rounds.
    ``first_boost_s``: seconds of the machine's clock from the program's start to the
    first dispatch. ``same_results``: the boosted run read the same data as the native
    one. ``why_not``: reasons for people if the loop does not count as boosted.
    ``deviations``: standard deviations of ``native`` and ``boosted`` if these are means
    of rounds; None if they are medians. ``command`` repeats the measurement; ``date``
    is its date; "" in records without these fields.
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
    deviations: tuple[float, float] | None = None
    command: str = ""
    date: str = ""

    @property
    def is_boosted(self) -> bool:
        """Whether enough calls were dispatched for the loop to count as boosted."""
        return self.bypass_rate >= BOOSTED

    @property
    def limit(self) -> float:
        """Cost of one turn if bypassing were free: the handler and the gap."""
        return self.handler + self.gap

    @property
    def dispatch_cost(self) -> float:
        """Cost of bypassing per call, the growth of the gap included."""
        return self.boosted - self.limit

    @property
    def capture(self) -> float | None:
        """Share of the possible gain that was reached; None if no gain is possible."""
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
            "deviations": (
                None
                if self.deviations is None
                else [round(each, 2) for each in self.deviations]
            ),
            "command": self.command,
            "date": self.date,
            "kernel": self.machine.kernel,
            "cpu": self.machine.cpu,
            "page_table_isolation": self.machine.page_table_isolation,
            "accelerator": self.machine.accelerator,
            "erms": self.machine.erms,
            "mitigations": list(self.machine.mitigations),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Record:
        """The inverse of :meth:`as_json`; derived values are recomputed."""
        own = {f.name: data[f.name] for f in dataclasses.fields(cls) if f.name in data}
        own["why_not"] = tuple(own.get("why_not", ()))
        if own.get("deviations") is not None:
            own["deviations"] = tuple(own["deviations"])
        return cls(**own, machine=Machine.from_json(data))


def today() -> str:
    """The date of a measurement that is made now, in UTC: YYYY-MM-DD."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")


def write_records(path: Path, records: Sequence[Record]) -> None:
    """Write an array of records. Raises UbError."""
    write_json(path, [record.as_json() for record in records])


def write_json(path: Path, data: Sequence[dict[str, Any]]) -> None:
    """Write an array of records, atomically. Raises UbError."""
    records = [versioned(record) for record in data]
    write_text(path, json.dumps(records, indent=2) + "\n")


def versioned(record: dict[str, Any]) -> dict[str, Any]:
    """A record as it stands in a file."""
    return {_KEY: FILE_VERSION, **record}


def unversioned(record: Any) -> Any:
    """A record of :func:`versioned` as it was; anything else as it is.

    Records of earlier files have no version. Raises ValueError for one of a later
    version.
    """
    if not isinstance(record, dict) or _KEY not in record:
        return record
    rest = dict(record)
    version = rest.pop(_KEY)
    if version != FILE_VERSION:
        raise ValueError(f"records of version {version!r}, not {FILE_VERSION}")
    return rest


def read_records(path: Path) -> list[Record]:
    """Read the records of :func:`write_records`. Raises UbError for other contents."""
    try:
        return [Record.from_json(item) for item in read_json(path)]
    except (TypeError, KeyError) as error:
        raise UbError(f"{path} contains no records of 'ub bench io'") from error


def read_json(path: Path) -> list[Any]:
    """Read the array of :func:`write_json`. Raises UbError for other contents."""
    try:
        data = json.loads(read_text(path))
        if not isinstance(data, list):
            raise ValueError("no array")
        return [unversioned(record) for record in data]
    except ValueError as error:
        raise UbError(f"{path} contains no records ({error})") from error
