# SPDX-License-Identifier: GPL-2.0-only
"""Records of packets as tables on a terminal; depends only on records."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from ubypass.bench.console import wide_enough
from ubypass.bench.packets.record import PacketRecord
from ubypass.bench.packets.words import (
    MEANING,
    bypassed,
    not_run,
    price,
    prices,
    received,
    wrong,
)

__all__ = ["render", "show"]


def show(records: Sequence[PacketRecord], console: Console | None = None) -> None:
    """Print the tables and their summary."""
    wide_enough(console).print(render(records))


def render(records: Sequence[PacketRecord]) -> RenderableType:
    """A table for each size, what is missing or wrong, and the machine."""
    if not records:
        return Text("Nothing was measured.")
    parts: list[RenderableType] = []
    for size in dict.fromkeys(record.size for record in records):
        parts += [_table([r for r in records if r.size == size]), Text()]
    parts += [Text(line) for line in not_run(records)]
    parts += [Text(line, style="bold red") for line in wrong(records)]
    parts += [Text(line) for line in prices(records)]
    machine = records[0].machine
    where = f"{machine.kernel}, {machine.cpu}, accelerator {machine.accelerator}."
    return Group(*parts, Text(), Text(MEANING, style="dim"), Text(where, style="dim"))


def _table(records: Sequence[PacketRecord]) -> Table:
    first = records[0]
    table = Table(
        title=f"One packet with {first.size:,} bytes of payload, in "
        f"{first.machine.short_unit}",
        title_style="bold",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    table.add_column("receiver", no_wrap=True)
    for name in ("counted", "more", "summed", "more", "bypassed", "received"):
        table.add_column(name, justify="right")
    for kind in dict.fromkeys(record.kind for record in records):
        of = [record for record in records if record.kind == kind]
        cells: list[str] = []
        for add in (False, True):
            cells += _figures([r for r in of if r.sum is add], records)
        table.add_row(of[0].receiver, *cells, bypassed(of), received(of))
    return table


def _figures(
    of: Sequence[PacketRecord], records: Sequence[PacketRecord]
) -> tuple[str, str]:
    cost, more = price(of, records)
    return cost, "" if more is None else f"{more:+,.0f}"
