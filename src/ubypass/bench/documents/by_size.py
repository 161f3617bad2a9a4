# SPDX-License-Identifier: GPL-2.0-only
"""Reads by size: native, boosted, the limit of boosting, and io_uring.

From the records of two commands on one machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from ubypass.bench.documents.kind import grouped
from ubypass.bench.documents.loops import LOOPS
from ubypass.bench.documents.names import machine_names
from ubypass.bench.documents.read import Batch
from ubypass.bench.documents.rivals import RIVALS, command
from ubypass.bench.documents.wording import standard, unit
from ubypass.bench.records import Machine, Record
from ubypass.bench.uring import record as ways
from ubypass.bench.uring.record import Row
from ubypass.bench.uring.words import Line, lines
from ubypass.page.charts import Dot, Range, Shape, rows
from ubypass.page.charts import Row as Drawn
from ubypass.page.content import (
    Column,
    Inline,
    Paragraph,
    Plot,
    Section,
    Table,
)
from ubypass.page.svg import Colour

__all__ = ["sections"]

_TITLE = "Reads by size"
_COLOURS = {
    "limit": Colour.C3,
    "pread": Colour.C1,
    "boosted": Colour.C2,
    "io_uring": Colour.C4,
    "registered": Colour.C6,
}


@dataclass(frozen=True, slots=True)
class _Size:
    """Costs of reads of ``size`` bytes; ``deep``: those of io_uring at each depth."""

    place: str
    size: int
    limit: float | None
    pread: float | None
    boosted: float | None
    deep: Mapping[str, Mapping[int, float]]

    def best(self, way: str) -> tuple[int, float] | None:
        """The depth with the lowest cost, and that cost."""
        costs = self.deep[way]
        return min(costs.items(), key=lambda item: item[1]) if costs else None


def sections(batches: Sequence[Batch]) -> list[Section]:
    """A section for each machine on which io_uring was measured."""
    rivals = [
        row
        for batch in batches
        if batch.kind.command == RIVALS.command
        for row in batch.records
        if row.program == ways.LOOP
    ]
    loops = [
        record
        for batch in batches
        if batch.kind.command == LOOPS.command
        for record in batch.records
        if record.workload == "pread" and not record.sum and record.deviations is None
    ]
    by_machine = grouped(rivals, lambda row: row.machine)
    names = machine_names(list(by_machine))
    found = []
    for machine, own in by_machine.items():
        sizes = _sizes(own, [loop for loop in loops if loop.machine == machine])
        if sizes:
            title = f"{_TITLE}, {names[machine]}" if len(names) > 1 else _TITLE
            found.append(_section(title, machine, own, sizes))
    return found


def _sizes(rivals: Sequence[Row], loops: Sequence[Record]) -> list[_Size]:
    limits = {(loop.place, loop.size): loop.limit for loop in loops}
    found = []
    by_size = grouped(lines(rivals), lambda line: (line.place, line.size))
    for (place, size), there in by_size.items():
        costs = there[0].costs
        deep = {way: _deep(there, way) for way in (ways.PLAIN, ways.REGISTERED)}
        if not any(deep.values()):
            continue
        found.append(
            _Size(
                place,
                size,
                limits.get((place, size)),
                costs.get(ways.NATIVE),
                costs.get(ways.BOOSTED),
                deep,
            )
        )
    return found


def _deep(own: Sequence[Line], way: str) -> dict[int, float]:
    return {line.depth: line.costs[way] for line in own if way in line.costs}


def _section(
    title: str, machine: Machine, rivals: Sequence[Row], sizes: Sequence[_Size]
) -> Section:
    what = unit(machine)
    limit = "limit: boosted with free bypassing, from ub bench io; "
    text = (
        f"One read, in {what}, natively, boosted, and with io_uring at depth 1 and at "
        "its best depth, which is in parentheses; "
        f"{limit if any(size.limit is not None for size in sizes) else ''}"
        "registered: file, buffers and ring are registered beforehand."
    )
    return Section(
        title,
        (
            Paragraph((text,)),
            *_plots(machine, rivals, sizes),
            Table(
                title,
                (
                    Column("place", False),
                    *map(Column, ("size", "limit", "boosted", "pread")),
                    *map(Column, ("io_uring, 1", "best")),
                    *map(Column, ("registered, 1", "best")),
                ),
                tuple(map(_line, sizes)),
            ),
        ),
        standard(machine).value,
    )


def _line(size: _Size) -> tuple[Inline, ...]:
    figures: list[Inline] = []
    for way in (ways.PLAIN, ways.REGISTERED):
        best = size.best(way)
        figures.append(_cost(size.deep[way].get(1)))
        figures.append("-" if best is None else f"{best[1]:,.0f} ({best[0]:,})")
    shown = map(_cost, (size.limit, size.boosted, size.pread))
    return (size.place, f"{size.size:,}", *shown, *figures)


def _cost(cost: float | None) -> str:
    return "-" if cost is None else f"{cost:,.0f}"


def _plots(
    machine: Machine, rivals: Sequence[Row], sizes: Sequence[_Size]
) -> list[Plot]:
    found = []
    for place, there in grouped(sizes, lambda size: size.place).items():
        caption = (
            f"{unit(machine).capitalize()} per read, by size, {place}; io_uring "
            "hollow at depth 1, filled at its best depth."
        )
        made_by = command(rivals)
        if any(size.limit is not None for size in there):
            made_by = f"ub bench io{'' if place == 'memory' else ' --disk'}; {made_by}"
        drawn = partial(_draw, there, caption, f"{unit(machine)} per read")
        found.append(Plot(drawn, (caption,), standard(machine), made_by))
    return found


def _draw(sizes: Sequence[_Size], caption: str, axis: str, key: str) -> str:
    content = [Drawn(f"{s.size:,} bytes", _note(s), _shapes(s)) for s in sizes]
    used = {shape.colour for row in content for shape in row.shapes}
    legend: list[tuple[str, type[Shape], Colour]] = [
        (name, Dot, colour) for name, colour in _COLOURS.items() if colour in used
    ]
    return rows(key, caption, content, axis, legend, reference=0.0)


def _note(size: _Size) -> str:
    bests = [best[1] for way in size.deep if (best := size.best(way))]
    rival = f"io_uring {min(bests):,.0f}"
    return rival if size.boosted is None else f"boosted {size.boosted:,.0f}, {rival}"


def _shapes(size: _Size) -> tuple[Shape, ...]:
    dots = [
        Dot(cost, _COLOURS[name])
        for name, cost in (
            ("limit", size.limit),
            ("pread", size.pread),
            ("boosted", size.boosted),
        )
        if cost is not None
    ]
    for way, name in ((ways.PLAIN, "io_uring"), (ways.REGISTERED, "registered")):
        if 1 in size.deep[way]:
            dots.append(Dot(size.deep[way][1], _COLOURS[name], hollow=True))
        if best := size.best(way):
            dots.append(Dot(best[1], _COLOURS[name]))
    all_costs = [dot.at for dot in dots]
    return (Range(min(all_costs), max(all_costs), Colour.RULE), *dots)
