# SPDX-License-Identifier: GPL-2.0-only
"""Comparison of rows, in sentences; independent of terminals and documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ubypass.bench.uring.record import (
    BOOSTED,
    FIO,
    NATIVE,
    PLAIN,
    REGISTERED,
    RIVALS,
    SQPOLL,
    Row,
)

__all__ = ["Line", "costs", "lines", "notes", "programs", "sentence"]

#: Costs with a smaller relative difference count as even: runs differ by as much.
_EVEN = 0.005

_NAMES = {
    NATIVE: "pread",
    BOOSTED: "boosted pread",
    PLAIN: "io_uring",
    REGISTERED: "io_uring registered",
    SQPOLL: "io_uring SQPOLL",
}


@dataclass(frozen=True, slots=True)
class Line:
    """The costs of all measured ways at one size and depth."""

    place: str
    size: int
    depth: int
    costs: dict[str, float]

    @property
    def lead(self) -> float | None:
        """The share of the best io_uring's cost that boosted pread saves.

        Negative if it costs more; None if one of them is missing.
        """
        rivals = [cost for way, cost in self.costs.items() if way in RIVALS]
        boosted = self.costs.get(BOOSTED)
        if boosted is None or not rivals:
            return None
        return 1 - boosted / min(rivals)

    @property
    def ahead(self) -> str:
        """The way with the lowest cost, and its lead over the other kind."""
        lead = self.lead
        if lead is None:
            return "-"
        if abs(lead) < _EVEN:
            return "even"
        if lead > 0:
            return f"boosted, {lead:.0%}"
        _, best = min((self.costs[way], way) for way in RIVALS if way in self.costs)
        # As a share of the cost of boosted pread, the other way round.
        return f"{best}, {1 - 1 / (1 - lead):.0%}"


def programs(rows: Sequence[Row]) -> list[str]:
    """The programs of ``rows``, in order."""
    return list(dict.fromkeys(row.program for row in rows))


def lines(rows: Sequence[Row]) -> list[Line]:
    """The lines of one program: each place, size and depth of io_uring once, in order.

    Without rows of io_uring the depth is 1.
    """
    measured = [row for row in rows if row.cost is not None]
    deep = [row for row in measured if row.way in RIVALS] or measured
    keys = sorted({(_order(row.place), row.size, row.depth) for row in deep})
    found = []
    for (_, place), size, depth in keys:
        here = [row for row in measured if (row.place, row.size) == (place, size)]
        found.append(Line(place, size, depth, costs(here, depth)))
    return found


def costs(rows: Sequence[Row], depth: int) -> dict[str, float]:
    """Cost by way at ``depth``; pread has no depth."""
    return {
        row.way: row.cost
        for row in rows
        if row.cost is not None and (row.way not in RIVALS or row.depth == depth)
    }


def notes(rows: Sequence[Row]) -> list[str]:
    """Remarks on the costs: ways that were not measured, and threads that took part."""
    found = []
    for row in rows:
        name = _named(row)
        if row.cost is None and row.why_not:
            found.append(f"{name}: {row.why_not}")
        elif row.cost is None:
            found.append(f"{name}: not boosted in time")
        if row.workers:
            found.append(
                f"{name}: {row.workers} threads of the kernel (iou-wrk) made the reads"
            )
        if row.poller:
            found.append(
                f"{name}: the polling thread took {row.poller:,.0f} ns of CPU time "
                "per read"
            )
        if row.same_results is False:
            found.append(f"{name}: READ OTHER DATA")
    return list(dict.fromkeys(found))


def sentence(rows: Sequence[Row]) -> str:
    """Which way costs less where, in one sentence; "" without a comparison."""
    compared = [(line, line.lead) for line in lines(rows)]
    leads = [(line, lead) for line, lead in compared if lead is not None]
    if not leads:
        return ""
    less = [lead for _, lead in leads if lead >= _EVEN]
    more = [(line, lead) for line, lead in leads if lead <= -_EVEN]
    unit = rows[0].machine.short_unit
    text = f"Boosted pread needs fewer {unit} than io_uring's best in {len(less)} of "
    text += f"{len(leads)} lines"
    if less:
        text += f", by {min(less):.0%} to {max(less):.0%}"
    if not more:
        text += "; in none does io_uring need fewer."
    else:
        where = ", ".join(_where(line) for line, _ in more)
        most = max(1 - 1 / (1 - lead) for _, lead in more)
        text += f"; io_uring needs fewer, by up to {most:.0%}, for {where}."
    return text


def _named(row: Row) -> str:
    name = _NAMES.get(row.way, row.way)
    if row.program == FIO:
        name = f"fio, {name}"
    if row.size:
        name += f", {row.size} bytes"
    if row.depth and row.way in RIVALS:
        name += f", depth {row.depth}"
    # A reason that holds for all sizes holds for all places.
    return f"{name}, {row.place}" if row.size and row.place != "memory" else name


def _where(line: Line) -> str:
    place = "" if line.place == "memory" else f" ({line.place})"
    return f"{line.size} bytes at depth {line.depth}{place}"


def _order(place: str) -> tuple[int, str]:
    return (0 if place == "memory" else 1, place)
