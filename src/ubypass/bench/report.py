# SPDX-License-Identifier: GPL-2.0-only
"""Records as a table that needs no explanation elsewhere; knows only records."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from ubypass.bench.console import wide_enough
from ubypass.bench.records import Record

__all__ = ["in_words", "render", "show"]


def show(records: Sequence[Record], console: Console | None = None) -> None:
    """Print the table and what it means."""
    wide_enough(console).print(render(records))


def render(records: Sequence[Record]) -> RenderableType:
    """The table, the sentence, and what was measured where."""
    if not records:
        return Text("Nothing was measured.")
    machine = records[0].machine
    unit = "instructions" if machine.unit == "instructions" else "nanoseconds"
    table = Table(
        title=f"One turn of a loop around a system call, in {unit}",
        title_style="bold",
        pad_edge=False,
    )
    table.add_column("loop")
    for name in ("native", "boosted", "limit", "cost", "gained", "bypassed"):
        table.add_column(name, justify="right")
    table.add_column("data")
    for record in records:
        table.add_row(
            _name(record),
            f"{record.native:,.0f}",
            f"{record.boosted:,.0f}",
            f"{record.limit:,.0f}",
            f"{record.dispatch_cost:,.0f}",
            "-" if record.capture is None else f"{record.capture:.0%}",
            _floor_percent(record.bypass_rate),
            "same" if record.same_results else Text("DIFFERS", style="bold red"),
        )
    legend = Text(
        "native: as always; boosted: under ub; limit: if bypassing were free; cost: "
        "boosted - limit; gained: share of native - limit that boosting saves; "
        "bypassed: calls that never left the kernel; data: read the same as natively.",
        style="dim",
    )
    isolation = "with" if machine.page_table_isolation else "without"
    where = Text(
        f"{machine.kernel}, {machine.cpu}, {isolation} page-table isolation, "
        f"accelerator {machine.accelerator}.",
        style="dim",
    )
    failed = Text("".join(map(_not_boosted, records)), style="bold red")
    return Group(table, failed, Text(in_words(records)), Text(), legend, where)


def _not_boosted(record: Record) -> str:
    """A line for a loop of which the figures say nothing about boosting."""
    if record.is_boosted:
        return ""
    why = "; ".join(record.why_not) or "the engine has not come to it in time"
    return (
        f"{_name(record)}: not boosted, only {_floor_percent(record.bypass_rate)} of "
        f"its calls were dispatched: {why}.\n"
    )


def in_words(records: Sequence[Record]) -> str:
    """One sentence on what the records mean, true whatever they say."""
    record = _typical(records)
    what = (
        f"A program that reads {record.size:,} bytes per call"
        if record.size
        else f"A program that calls {record.workload} in a loop"
    )
    change = 1 - record.boosted / record.native
    more = "fewer" if change >= 0 else "MORE"
    unit = "instructions" if record.machine.unit == "instructions" else "nanoseconds"
    share = (
        ""
        if record.capture is None
        else f", {record.capture:.0%} of all that could be saved"
    )
    return (
        f"{what}, unchanged, needs {record.boosted:,.0f} instead of "
        f"{record.native:,.0f} {unit} for each when ub boosts it: {abs(change):.0%} "
        f"{more}{share}, because {_floor_percent(record.bypass_rate)} of its system "
        f"calls were made without leaving the kernel."
    )


def _typical(records: Sequence[Record]) -> Record:
    """The smallish read without sum if there is one, else the first."""
    reads = [r for r in records if r.size and not r.sum]
    return min(reads, key=lambda r: abs(r.size - 64)) if reads else records[0]


def _name(record: Record) -> str:
    size = f" {record.size}" if record.size else ""
    place = "" if record.place == "memory" else f", {record.place}"
    return f"{record.workload}{size}{', sum' if record.sum else ''}{place}"


def _floor_percent(share: float) -> str:
    # Never rounded up: 99.96 % is not all.
    return f"{int(share * 1000) / 10:.1f}%"
