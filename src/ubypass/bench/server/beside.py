# SPDX-License-Identifier: GPL-2.0-only
"""A rival of boosting under a server's own load, as data and as JSON."""

from __future__ import annotations

import dataclasses
import statistics
from dataclasses import dataclass
from typing import Any

from ubypass.bench.records import Machine
from ubypass.bench.server.record import Run

__all__ = ["Beside"]


@dataclass(frozen=True, slots=True)
class Beside:
    """``server`` in the configuration ``case`` on ``rival``, native only.

    ``runs``: as in ServerRecord; empty if it could not be run, for the reason
    ``not_run``. ``checked``: number of replies compared; ``wrong``: those that
    differed. ``command`` repeats the measurement; ``date`` is its date. ``version``:
    see ServerRecord; ``note``: what has to be known to compare it, for people.
    """

    rival: str
    server: str
    case: str
    runs: tuple[Run, ...]
    checked: int
    wrong: int
    not_run: str
    command: str
    date: str
    machine: Machine
    version: str = ""
    note: str = ""

    @property
    def name(self) -> str:
        """The name in tables."""
        return f"{self.case}, {self.rival}"

    @property
    def cost(self) -> float | None:
        """Median of CPU time per request, in ns; None without runs."""
        return statistics.median(r.cost for r in self.runs) if self.runs else None

    @property
    def rate(self) -> float | None:
        """Median of requests per second; None without runs."""
        return statistics.median(r.rate for r in self.runs) if self.runs else None

    def as_json(self) -> dict[str, Any]:
        """Plain data; the key ``rival`` distinguishes it from a ServerRecord."""
        own = dataclasses.asdict(self)
        del own["machine"]
        return {
            **own,
            "unit": self.machine.unit,
            "cost": self.cost,
            "rate": self.rate,
            **dataclasses.asdict(self.machine),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Beside:
        """The inverse of :meth:`as_json`; derived values are recomputed."""
        own = {f.name: data[f.name] for f in dataclasses.fields(cls) if f.name in data}
        own["runs"] = tuple(Run(**run) for run in data["runs"])
        return cls(**{**own, "machine": Machine.from_json(data)})
