# SPDX-License-Identifier: GPL-2.0-only
"""Rows as tables on a terminal; depends only on rows."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from ubypass.bench.console import wide_enough
from ubypass.bench.documents.wording import unit
from ubypass.bench.uring.record import (
    BOOSTED,
    FIO,
    NATIVE,
    PLAIN,
    REGISTERED,
    SQPOLL,
    Row,
)
from ubypass.bench.uring.words import Line, lines, notes, programs, sentence

__all__ = ["COLUMNS", "COUNTED", "LEGEND", "TIMED", "show"]

#: Column headings of the ways, in order.
COLUMNS = {
    NATIVE: "pread",
    BOOSTED: "boosted",
    PLAIN: "io_uring",
    REGISTERED: "registered",
    SQPOLL: "SQPOLL",
}
_WHERE = {"memory": "in memory", "cached": "on a disk, cached"}

#: The meaning of the columns.
LEGEND = (
    "pread and boosted do not depend on the depth. registered: file, buffers and "
    "ring are registered beforehand. depth: reads submitted with one entry into the "
    "kernel, before the first completes. ahead: the best, and its margin over the "
    "best of the other kind."
)
#: The limits of the comparison.
COUNTED = (
    "Counted are all instructions of the machine. A transition takes some two "
    "hundred instructions, but more time than two hundred others: io_uring pays one "
    "per batch, boosted pread almost none. In time, deep queues are ahead of native "
    "pread (docs/performance.md)."
)


#: The meaning of costs in ns.
TIMED = (
    "A cost is the CPU time of all threads, those of the kernel that poll or read for "
    "the program included, in brackets the time from start to end where it differs by "
    "more than 5%; of fio, and of pread where it is boosted as well, that time alone."
)


def show(rows: Sequence[Row], console: Console | None = None) -> None:
    """Print the tables and their summary."""
    wide_enough(console).print(_render(rows))


def _render(rows: Sequence[Row]) -> RenderableType:
    if not rows:
        return Text("Nothing was measured.")
    parts: list[RenderableType] = []
    for program in programs(rows):
        own = [row for row in rows if row.program == program]
        parts += _tables(own)
        for note in notes(own):
            parts.append(Text(note, style="bold red" if "OTHER" in note else ""))
        parts += [Text(finding)] if (finding := sentence(own)) else []
        parts.append(Text())
    parts.append(Text(LEGEND, style="dim"))
    machine = rows[0].machine
    counted = machine.unit == "instructions"
    parts.append(Text(COUNTED if counted else TIMED, style="dim"))
    parts.append(Text(f"{machine.where}.", style="dim"))
    return Group(*parts)


def _tables(rows: Sequence[Row]) -> list[RenderableType]:
    measured = unit(rows[0].machine).capitalize()
    who = " by fio" if rows[0].program == FIO else ""
    found: list[RenderableType] = []
    by_place: dict[str, list[Line]] = {}
    for line in lines(rows):
        by_place.setdefault(line.place, []).append(line)
    for place, those in by_place.items():
        ways = [way for way in COLUMNS if any(way in line.costs for line in those)]
        table = Table(
            title=f"{measured} for one read{who}, {_WHERE.get(place, place)}",
            title_style="bold",
            pad_edge=False,
        )
        for name in ("size", "depth", *(COLUMNS[way] for way in ways)):
            table.add_column(name, justify="right")
        table.add_column("ahead")
        before = None
        for line in those:
            if before not in (None, line.size):
                table.add_section()
            before = line.size
            table.add_row(*_cells(line, ways), line.ahead)
        found.append(table)
    return found


def _cells(line: Line, ways: Sequence[str]) -> list[str]:
    return [f"{line.size:,}", f"{line.depth:,}", *map(line.cell, ways)]
