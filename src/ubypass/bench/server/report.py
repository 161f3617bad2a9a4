# SPDX-License-Identifier: GPL-2.0-only
"""Records of servers as a table on a terminal; depends only on records."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from ubypass.bench.console import wide_enough
from ubypass.bench.documents.wording import floor_percent, unit
from ubypass.bench.server.beside import Beside
from ubypass.bench.server.record import ServerRecord

__all__ = ["render", "show"]

_COLUMNS = (
    *("native", "boosted", "ratio", "calls", "bypassed", "gained", "saved", "steady"),
)


def show(
    records: Sequence[ServerRecord],
    console: Console | None = None,
    beside: Sequence[Beside] = (),
) -> None:
    """Print the table and its summary."""
    wide_enough(console).print(render(records, beside))


def render(
    records: Sequence[ServerRecord], beside: Sequence[Beside] = ()
) -> RenderableType:
    """The table, the meaning of its columns, and the machine."""
    if not records:
        return Text("Nothing was measured.")
    machine = records[0].machine
    what = "time" if records[0].by_time else "CPU time of the server"
    table = Table(
        title=f"One request: {what}, in {unit(machine)}",
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
            floor_percent(record.dispatched),
            "-" if record.capture is None else f"{record.capture:.0%}",
            f"{record.saved_ns:,.0f} ns",
            "-" if record.steady_s is None else f"{record.steady_s:.1f} s",
        )
    for rival in beside:
        cost = rival.cost
        table.add_row(rival.name, "not run" if cost is None else f"{cost:,.0f}")
    legend = Text(
        "calls: system calls per request; bypassed: share of calls made without "
        "leaving the kernel; gained: share of the cost of all transitions; saved: "
        f"time per request {_by(records[0])}; steady: from the start of the load to "
        "the last change.",
        style="dim",
    )
    where = Text(
        f"{machine.where}; a transition costs {records[0].transition:.0f}.",
        style="dim",
    )
    rivals = [Text(line) for line in dict.fromkeys(map(_beside, beside))]
    natives = [Text(line) for record in records for line in _why_native(record)]
    return Group(table, Text(), *rivals, _replies(records), *natives, legend, where)


def _why_native(record: ServerRecord) -> list[str]:
    """The engine's reasons, if next to nothing was dispatched."""
    if record.capture is not None:
        return []
    if not record.notes:
        return [f"{record.server} {record.case} stayed native: no call was sampled"]
    return [
        f"{record.server} {record.case} stayed native:",
        *(f"  {note}" for note in record.notes),
    ]


def _beside(rival: Beside) -> str:
    if rival.not_run:
        return f"{rival.server} on {rival.rival}: not run: {rival.not_run}"
    wrong = f", {rival.wrong} of {rival.checked} replies WRONG" if rival.wrong else ""
    return (
        f"{rival.server} {rival.name}: {rival.rate or 0:,.0f} requests/s natively; "
        f"it polls, so it uses all CPU time of its processor{wrong}"
    )


def _by(record: ServerRecord) -> str:
    if record.priced_by in ("", "clock"):
        return "by the module's clock"
    return f"on the processor of model {record.priced_by}, computed, not measured"


def _replies(records: Sequence[ServerRecord]) -> Text:
    wrong = sum(record.wrong for record in records)
    checked = sum(record.checked for record in records)
    if wrong:
        return Text(f"{wrong:,} of {checked:,} replies were WRONG.", style="bold red")
    return Text(f"All {checked:,} compared replies were right.")
