# SPDX-License-Identifier: GPL-2.0-only
"""Records as a self-contained table on a terminal; depends only on records."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from ubypass.bench.console import wide_enough
from ubypass.bench.documents.loops import costs, name
from ubypass.bench.documents.wording import floor_percent, unit
from ubypass.bench.records import Record

__all__ = ["in_words", "render", "show"]

_FIGURES = ("native", "boosted", "limit", "cost", "gained", "bypassed")
_MEANT = ("native", "boosted", "limit", "gained", "bypassed")
_MEANS = " Means of rounds, ± their standard deviation."


def show(records: Sequence[Record], console: Console | None = None) -> None:
    """Print the table and its summary."""
    wide_enough(console).print(render(records))


def render(records: Sequence[Record]) -> RenderableType:
    """The table, a summary in one sentence, and a description of the machine."""
    if not records:
        return Text("Nothing was measured.")
    machine = records[0].machine
    table = Table(
        title=f"One iteration of a loop around a system call, in {unit(machine)}",
        title_style="bold",
        pad_edge=False,
    )
    table.add_column("loop")
    # With deviations there is no room for the difference of two columns.
    means = records[0].deviations is not None
    for title in _MEANT if means else _FIGURES:
        table.add_column(title, justify="right")
    table.add_column("data")
    for record in records:
        table.add_row(
            name(record),
            *costs(record),
            f"{record.limit:,.0f}",
            *([] if means else [f"{record.dispatch_cost:,.0f}"]),
            "-" if record.capture is None else f"{record.capture:.0%}",
            floor_percent(record.bypass_rate),
            "same" if record.same_results else Text("DIFFERS", style="bold red"),
        )
    legend = Text(
        "native: without ub; boosted: with ub; limit: with free bypassing; "
        + ("" if means else "cost: boosted - limit; ")
        + "gained: share of native - limit saved by boosting; bypassed: share of calls "
        "made without leaving the kernel; data: whether the same data was read."
        + (_MEANS if means else ""),
        style="dim",
    )
    where = Text(f"{machine.where}.", style="dim")
    failed = Text("".join(map(_not_boosted, records)), style="bold red")
    return Group(table, failed, Text(in_words(records)), Text(), legend, where)


def _not_boosted(record: Record) -> str:
    """A line for a loop that was not boosted, with the reasons; "" for others."""
    if record.is_boosted:
        return ""
    why = "; ".join(record.why_not) or "the engine has not examined it in time"
    return (
        f"{name(record)}: not boosted, only {floor_percent(record.bypass_rate)} of "
        f"its calls were dispatched: {why}.\n"
    )


def in_words(records: Sequence[Record]) -> str:
    """One sentence about the records, whether they show a gain or a loss."""
    record = _typical(records)
    what = (
        f"A program that reads {record.size:,} bytes per call"
        if record.size
        else f"A program that calls {record.workload} in a loop"
    )
    change = 1 - record.boosted / record.native
    more = "fewer" if change >= 0 else "MORE"
    share = (
        ""
        if record.capture is None
        else f", {record.capture:.0%} of the possible saving"
    )
    return (
        f"{what}, unchanged, needs {record.boosted:,.0f} instead of "
        f"{record.native:,.0f} {unit(record.machine)} for each when ub boosts it: "
        f"{abs(change):.0%} {more}{share}, because "
        f"{floor_percent(record.bypass_rate)} of its system calls were made without "
        f"leaving the kernel."
    )


def _typical(records: Sequence[Record]) -> Record:
    """The read without sum whose size is closest to 64 bytes, else the first record."""
    reads = [r for r in records if r.size and not r.sum]
    return min(reads, key=lambda r: abs(r.size - 64)) if reads else records[0]
