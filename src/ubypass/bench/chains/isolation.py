# SPDX-License-Identifier: GPL-2.0-only
"""What page-table isolation would add to a transition: modelled, not replayed.

A processor that needs no isolation has none, and no replay on it can show its cost. The
cost model has it as data (``cost/models.toml``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ubypass.bench.machine import page_table_isolation
from ubypass.cost.model import Model, Range

__all__ = ["Isolation", "is_isolated", "isolation_of"]

_CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Isolation:
    """``ns`` that a transition costs more; all 0 if the replay was made with isolation.

    ``source``: of these figures, for people.
    """

    ns: Range
    source: str

    @property
    def is_modelled(self) -> bool:
        """Whether the replay was made without isolation."""
        return self.ns.high > 0

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "low_ns": self.ns.low,
            "likely_ns": self.ns.likely,
            "high_ns": self.ns.high,
            "source": self.source,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None) -> Isolation | None:
        """The inverse of :meth:`as_json`; None for None.

        Raises KeyError or TypeError for other data.
        """
        if data is None:
            return None
        ns = Range(data["low_ns"], data["likely_ns"], data["high_ns"])
        return cls(ns, data["source"])


def is_isolated(cpuinfo: Path = _CPUINFO) -> bool:
    """Whether the kernel of this machine switches page tables at system calls."""
    try:
        return page_table_isolation(cpuinfo.read_text())
    except OSError:
        return False


def isolation_of(
    model: Model, captured: bool | None, cpuinfo: Path = _CPUINFO
) -> Isolation | None:
    """What isolation adds to replays on this machine, by ``model``.

    ``captured``: whether the machine of the capture was isolated, None if unknown. None
    if it differs: the time of a request is that machine's.
    """
    is_on = is_isolated(cpuinfo)
    if captured not in (None, is_on):
        return None
    if is_on:
        return Isolation(Range(0.0, 0.0, 0.0), "the replay was made with isolation")
    added = model.isolation
    return Isolation(added.ns, f"model {model.name}, {added.status}: {added.source}")
