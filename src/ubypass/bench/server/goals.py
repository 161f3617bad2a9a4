# SPDX-License-Identifier: GPL-2.0-only
"""The goals for records of servers."""

from __future__ import annotations

from dataclasses import dataclass

from ubypass.bench.server.record import ServerRecord

__all__ = ["Goal", "goals"]

_NEVER_SLOWER = 1.005


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure and its bound: a lower bound if ``higher``, else an upper bound."""

    what: str
    figure: float
    bound: float
    higher: bool = False

    @property
    def met(self) -> bool:
        """Whether the figure is within its bound."""
        if self.higher:
            return self.figure >= self.bound
        return self.figure <= self.bound


def goals(record: ServerRecord) -> list[Goal]:
    """The goals for ``record``, with its figures."""
    found = [
        Goal("wrong replies", record.wrong, 0),
        Goal("engine's share of a CPU", record.engine_share, 0.01),
    ]
    if record.steady_s is None:
        found.append(Goal("seconds until steady", float("inf"), 5.0))
    else:
        found.append(Goal("seconds until steady", record.steady_s, 5.0))
    words = record.case.replace(",", " ").split()
    size = next((int(word) for word in words if word.isdigit()), 0)
    if record.priced_by in ("", "clock"):
        found.append(Goal("cost, boosted / native", record.ratio, _NEVER_SLOWER))
    else:
        # Instruction counts overstate the cost of a translation: the model decides.
        found.append(Goal("ns saved per request", record.saved_ns, 0, higher=True))
    if record.server == "redis" and size <= 1024:
        found.append(Goal("bypassed", record.dispatched, 0.45, higher=True))
    if record.server == "nginx" and size <= 16:
        found.append(Goal("bypassed", record.dispatched, 0.6, higher=True))
    if record.server == "rawsocket":
        found.append(Goal("bypassed", record.dispatched, 0.99, higher=True))
        found.append(Goal("gained", record.capture or 0.0, 0.65, higher=True))
    return found
