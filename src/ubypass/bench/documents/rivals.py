# SPDX-License-Identifier: GPL-2.0-only
"""Description of pread compared with io_uring (``ub bench io --with``)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ubypass.bench.documents.depths import gains
from ubypass.bench.documents.kind import Kind, Origin, grouped
from ubypass.bench.documents.origins import origin
from ubypass.bench.documents.wording import standard, unit, where
from ubypass.bench.uring.record import FIO, NATIVE, Row
from ubypass.bench.uring.report import COLUMNS, COUNTED, LEGEND, TIMED
from ubypass.bench.uring.words import Line, lines, notes, programs, sentence
from ubypass.page.charts import Dot, Range, Shape, rows
from ubypass.page.charts import Row as Drawn
from ubypass.page.content import (
    Block,
    Bullets,
    Code,
    Column,
    Inline,
    Paragraph,
    Plot,
    Section,
    Standard,
    Subheading,
    Table,
    Words,
)
from ubypass.page.svg import Colour

__all__ = ["RIVALS", "command"]

_TITLES = {FIO: "fio, io_uring and psync"}
_COLOURS = (Colour.C1, Colour.C2, Colour.C4, Colour.C6, Colour.C5)

#: Most rows in one plot.
_ROWS = 14


def _findings(records: Sequence[Row]) -> list[Words]:
    found: list[Words] = []
    for program in programs(records):
        finding = sentence(_of(records, program))
        if finding:
            found.append((f"{'fio: ' if program == FIO else ''}{finding}",))
    return found


def _section(records: Sequence[Row]) -> Section:
    blocks: list[Block] = []
    for program in programs(records):
        own = _of(records, program)
        if program in _TITLES:
            blocks.append(Subheading(_TITLES[program]))
        blocks += [_measured(own), *_plots(own)]
        if lines(own):
            blocks.append(_table(own))
        if notes(own):
            blocks.append(Bullets(tuple((note,) for note in notes(own))))
    return Section("io_uring", blocks, standard(records[0].machine).value)


def _of(records: Sequence[Row], program: str) -> list[Row]:
    return [record for record in records if record.program == program]


def _measured(own: Sequence[Row]) -> Paragraph:
    machine = own[0].machine
    counted = COUNTED if standard(machine) is Standard.COUNTED else TIMED
    return Paragraph(
        (
            Code(command(own)),
            f"; {where(machine)}. One read, in {unit(machine)}. {LEGEND} {counted}",
        )
    )


def command(own: Sequence[Row]) -> str:
    """The command that repeats the measurement of rows of one program."""
    name = "fio" if own[0].program == FIO else "uring"
    disk = " --disk" if any(record.place != "memory" for record in own) else ""
    return own[0].command or f"ub bench io --with {name}{disk}"


def _ways(own: Sequence[Line]) -> list[str]:
    return [way for way in COLUMNS if any(way in line.costs for line in own)]


def _table(records: Sequence[Row]) -> Table:
    own = lines(records)
    ways = _ways(own)
    found: list[tuple[Inline, ...]] = []
    for line in own:
        shown = map(line.cell, ways)
        found.append(
            (line.place, f"{line.size:,}", f"{line.depth:,}", *shown, line.ahead)
        )
    return Table(
        "Reads",
        (
            Column("place", False),
            *map(Column, ("size", "depth", *(COLUMNS[way] for way in ways))),
            Column("ahead", False),
        ),
        tuple(found),
    )


def _plots(records: Sequence[Row]) -> list[Plot]:
    """What pread needs less, by depth; without pread the costs of all ways.

    The costs of all depths are in the table, and by size in another section.
    """
    label, made_by = standard(records[0].machine), command(records)
    what = unit(records[0].machine)
    own = lines(records)
    return gains(own, what, label, made_by) or _costs(own, what, label, made_by)


def _costs(own: Sequence[Line], what: str, label: Standard, made_by: str) -> list[Plot]:
    """The costs of all ways for each place, by size and depth."""
    found = []
    for place, there in grouped(own, lambda line: line.place).items():
        for at in range(0, len(there), _ROWS):
            caption = (
                f"{what.capitalize()} per read, by size and depth, {place}; the best "
                "on the right."
            )
            drawn = partial(_draw, there[at : at + _ROWS], caption, what)
            found.append(Plot(drawn, (caption,), label, made_by))
    return found


def _draw(own: Sequence[Line], caption: str, what: str, key: str) -> str:
    ways = _ways(own)
    colours = dict(zip(COLUMNS, _COLOURS, strict=True))
    content = []
    for line in own:
        costs = list(line.costs.values())
        shapes: list[Shape] = [Range(min(costs), max(costs), Colour.RULE)]
        shapes += [
            Dot(line.costs[way], colours[way], hollow=way == NATIVE)
            for way in ways
            if way in line.costs
        ]
        label = f"{line.size:,} bytes, depth {line.depth:,}"
        content.append(Drawn(label, line.ahead, tuple(shapes)))
    return rows(
        key,
        caption,
        content,
        f"{what} per read",
        [(COLUMNS[way], Dot, colours[way]) for way in ways],
        reference=0.0,
    )


def _origins(records: Sequence[Row]) -> list[Origin]:
    each = (_of(records, program) for program in programs(records))
    return [origin(own, command(own)) for own in each]


RIVALS = Kind(
    command="ub bench io --with",
    keys=frozenset({"way", "depth"}),
    read=lambda data: [Row.from_json(item) for item in data],
    findings=_findings,
    section=_section,
    origins=_origins,
)
