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

_MEDIANS = ("native", "boosted", "ratio")
_FIGURES = ("calls", "bypassed", "gained", "saved", "steady")
#: With means there is no room for the other figures.
_MEANS = ("native mean", "boosted mean", "bypassed")


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
    means = records[0].means
    for name in (*_MEDIANS, *(_MEANS if means else _FIGURES)):
        table.add_column(name, justify="right")
    for record in records:
        table.add_row(
            record.case,
            f"{record.native_cost:,.0f}",
            f"{record.boosted_cost:,.0f}",
            f"{record.ratio:.4f}",
            *(_means(record) if means else _figures(record)),
        )
    for rival in beside:
        cost = rival.cost
        table.add_row(rival.name, "not run" if cost is None else f"{cost:,.0f}")
    legend = Text(_legend(records[0]), style="dim")
    version = f"{records[0].version}; " if records[0].version else ""
    where = Text(
        f"{version}{machine.where}; a transition costs {records[0].transition:.0f}.",
        style="dim",
    )
    rivals = [Text(line) for line in dict.fromkeys(map(_beside, beside))]
    natives = [Text(line) for record in records for line in _why_native(record)]
    return Group(table, Text(), *rivals, _replies(records), *natives, legend, where)


def _figures(record: ServerRecord) -> tuple[str, ...]:
    return (
        f"{record.calls:.2f}",
        floor_percent(record.dispatched),
        "-" if record.capture is None else f"{record.capture:.0%}",
        f"{record.saved_ns:,.0f} ns",
        "-" if record.steady_s is None else f"{record.steady_s:.1f} s",
    )


def _means(record: ServerRecord) -> tuple[str, ...]:
    return (
        f"{record.native_mean:,.0f} ± {record.native_deviation:,.0f}",
        f"{record.boosted_mean:,.0f} ± {record.boosted_deviation:,.0f}",
        floor_percent(record.dispatched),
    )


def _legend(record: ServerRecord) -> str:
    bypassed = "bypassed: share of calls made without leaving the kernel"
    if record.means:
        return (
            "native, boosted: medians of runs; ratio: of these; mean: of the same "
            f"runs, ± their standard deviation; {bypassed}."
        )
    return (
        f"calls: system calls per request; {bypassed}; gained: share of the cost of "
        f"all transitions; saved: time per request {_by(record)}; steady: from the "
        "start of the load to the last change."
    )


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
    note = f"; {rival.note}" if rival.note else ""
    wrong = f", {rival.wrong} of {rival.checked} replies WRONG" if rival.wrong else ""
    return (
        f"{rival.server} {rival.name}: {rival.rate or 0:,.0f} requests/s natively; "
        f"it polls, so it uses all CPU time of its processor{wrong}{note}"
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
