# SPDX-License-Identifier: GPL-2.0-only
"""Records of servers as a table on a terminal; knows only records."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from ubypass.bench.console import wide_enough
from ubypass.bench.server.record import ServerRecord

__all__ = ["render", "show"]

_COLUMNS = (
    *("native", "boosted", "ratio", "calls", "bypassed", "gained", "saved", "steady"),
)


def show(records: Sequence[ServerRecord], console: Console | None = None) -> None:
    """Print the table and what it means."""
    wide_enough(console).print(render(records))


def render(records: Sequence[ServerRecord]) -> RenderableType:
    """The table, what its columns are, and what was measured where."""
    if not records:
        return Text("Nothing was measured.")
    machine = records[0].machine
    unit = "instructions" if machine.unit == "instructions" else "nanoseconds"
    what = "time" if records[0].by_time else "CPU time of the server"
    table = Table(
        title=f"One request: {what}, in {unit}",
        title_style="bold",
        box=None,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column(records[0].server, no_wrap=True)
    for name in _COLUMNS:
        table.add_column(name, justify="right")
    for record in records:
        table.add_row(
            record.case,
            f"{record.native_cost:,.0f}",
            f"{record.boosted_cost:,.0f}",
            f"{record.ratio:.4f}",
            f"{record.calls:.2f}",
            f"{int(record.dispatched * 1000) / 10:.1f}%",
            "-" if record.capture is None else f"{record.capture:.0%}",
            f"{record.saved_ns:,.0f} ns",
            "-" if record.steady_s is None else f"{record.steady_s:.1f} s",
        )
    legend = Text(
        "calls: system calls for each request; bypassed: those that never left the "
        "kernel; gained: share of what all transitions cost; saved: time per request "
        f"{_by(records[0])}; steady: from the load's start until nothing changes any "
        "more.",
        style="dim",
    )
    where = Text(
        f"{machine.kernel}, {machine.cpu}, accelerator {machine.accelerator}; a "
        f"transition costs {records[0].transition:.0f}.",
        style="dim",
    )
    return Group(table, Text(), _replies(records), legend, where)


def _by(record: ServerRecord) -> str:
    if record.priced_by in ("", "clock"):
        return "by the module's clock"
    return f"on the processor of model {record.priced_by}, computed, not measured"


def _replies(records: Sequence[ServerRecord]) -> Text:
    wrong = sum(record.wrong for record in records)
    checked = sum(record.checked for record in records)
    if wrong:
        return Text(f"{wrong:,} of {checked:,} replies were WRONG.", style="bold red")
    return Text(f"All {checked:,} replies that were compared were right.")
