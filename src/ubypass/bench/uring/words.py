# SPDX-License-Identifier: GPL-2.0-only
"""Comparison of rows, in sentences; independent of terminals and documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

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

__all__ = ["Line", "lines", "notes", "programs", "sentence"]

#: Costs with a smaller relative difference count as even: counts of two runs differ by
#: as much, and times.
_EVEN = 0.005
_EVEN_TIMES = 0.05

#: A larger relative difference of CPU time and elapsed time is shown.
_SIDE_BY_SIDE = 0.05

_NAMES = {
    NATIVE: "pread",
    BOOSTED: "boosted pread",
    PLAIN: "io_uring",
    REGISTERED: "io_uring registered",
    SQPOLL: "io_uring SQPOLL",
}


@dataclass(frozen=True, slots=True)
class Line:
    """The costs of all measured ways at one size and depth.

    ``own``: the way that is compared with io_uring, pread or boosted pread, the same in
    all lines of a table. ``even``: the relative difference below which costs are equal.
    ``elapsed``: time in ns by way, where costs are CPU time.
    """

    place: str
    size: int
    depth: int
    costs: dict[str, float]
    own: str = BOOSTED
    even: float = _EVEN
    elapsed: dict[str, float] = field(default_factory=dict)

    def cell(self, way: str) -> str:
        """The cost of ``way``, "-" if it is unknown.

        In brackets the elapsed time if it differs: threads ran side by side, or slept.
        """
        if way not in self.costs:
            return "-"
        cost = self.costs[way]
        elapsed = self.elapsed.get(way) or cost
        differs = abs(elapsed - cost) > _SIDE_BY_SIDE * cost
        return f"{cost:,.0f} ({elapsed:,.0f})" if differs else f"{cost:,.0f}"

    @property
    def lead(self) -> float | None:
        """The share of the best io_uring's cost that ``own`` saves.

        Negative if it costs more; None if one of them is missing.
        """
        rivals = [cost for way, cost in self.costs.items() if way in RIVALS]
        own = self.costs.get(self.own)
        if own is None or not rivals:
            return None
        return 1 - own / min(rivals)

    @property
    def ahead(self) -> str:
        """The way with the lowest cost, and its lead over the other kind."""
        lead = self.lead
        if lead is None:
            return "-"
        if abs(lead) < self.even:
            return "even"
        if lead > 0:
            return f"{self.own}, {lead:.0%}"
        _, best = min((self.costs[way], way) for way in RIVALS if way in self.costs)
        # As a share of the cost of pread, the other way round.
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
    own = BOOSTED if any(row.way == BOOSTED for row in measured) else NATIVE
    keys = sorted({(_order(row.place), row.size, row.depth) for row in deep})
    found = []
    for (_, place), size, depth in keys:
        here = [row for row in measured if (row.place, row.size) == (place, size)]
        chosen = [row for row in here if row.way not in RIVALS or row.depth == depth]
        costs = {row.way: row.cost for row in chosen if row.cost is not None}
        elapsed = {row.way: row.elapsed for row in chosen if row.elapsed}
        even = _EVEN if here[0].machine.unit == "instructions" else _EVEN_TIMES
        found.append(Line(place, size, depth, costs, own, even, elapsed))
    return found


def notes(rows: Sequence[Row]) -> list[str]:
    """Remarks on the costs: ways that were not measured, and threads that took part."""
    found = []
    for row in rows:
        name = _named(row)
        if row.cost is None and row.why_not:
            found.append(f"{name}: {row.why_not}")
        elif row.cost is None:
            found.append(f"{name}: not boosted in time")
        if row.same_results is False:
            found.append(f"{name}: READ OTHER DATA")
    return list(dict.fromkeys([*found, *_workers(rows)]))


def _workers(rows: Sequence[Row]) -> list[str]:
    """A remark for each way and place where threads of the kernel read."""
    most: dict[str, int] = {}
    for row in rows:
        if row.workers:
            who = f"{_program(row)}, {row.place}"
            most[who] = max(row.workers, most.get(who, 0))
    return [
        f"{who}: threads of the kernel (iou-wrk) made the reads, up to {number}"
        for who, number in most.items()
    ]


def sentence(rows: Sequence[Row]) -> str:
    """Which way costs less where, in one sentence; "" without a comparison."""
    compared = [(line, line.lead) for line in lines(rows)]
    leads = [(line, lead) for line, lead in compared if lead is not None]
    if not leads:
        return ""
    less = [lead for line, lead in leads if lead >= line.even]
    more = [(line, lead) for line, lead in leads if lead <= -line.even]
    own = _NAMES[leads[0][0].own]
    machine = rows[0].machine
    counted = machine.unit == "instructions"
    amount = f"fewer {machine.short_unit}" if counted else "less time"
    text = f"{own[0].upper()}{own[1:]} needs {amount} than io_uring's best in "
    text += f"{len(less)} of {len(leads)} lines"
    if less:
        text += f", by {min(less):.0%} to {max(less):.0%}"
    if not more:
        return text + f"; in none does io_uring need {amount.split()[0]}."
    # By place and size: depths are many.
    depths: dict[str, list[int]] = {}
    for line, _ in more:
        depths.setdefault(_size_of(line), []).append(line.depth)
    where = ", ".join(f"{size} ({_range(those)})" for size, those in depths.items())
    most = max(1 - 1 / (1 - lead) for _, lead in more)
    return (
        f"{text}; io_uring needs {amount.split()[0]}, by up to {most:.0%}, for {where}."
    )


def _program(row: Row) -> str:
    name = _NAMES.get(row.way, row.way)
    return f"fio, {name}" if row.program == FIO else name


def _named(row: Row) -> str:
    name = _program(row)
    if row.size:
        name += f", {row.size} bytes"
    if row.depth and row.way in RIVALS:
        name += f", depth {row.depth}"
    # A reason that holds for all sizes holds for all places.
    return f"{name}, {row.place}" if row.size and row.place != "memory" else name


def _size_of(line: Line) -> str:
    place = "" if line.place == "memory" else f", {line.place}"
    return f"{line.size} bytes{place}"


def _range(depths: Sequence[int]) -> str:
    if len(depths) == 1:
        return f"depth {depths[0]:,}"
    return f"{len(depths)} depths from {min(depths):,} to {max(depths):,}"


def _order(place: str) -> tuple[int, str]:
    return (0 if place == "memory" else 1, place)
