# SPDX-License-Identifier: GPL-2.0-only
"""Description of packet receivers (``ub bench packets``)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ubypass.bench.documents.kind import Kind
from ubypass.bench.documents.origins import origins
from ubypass.bench.documents.wording import signed, standard, unit, where
from ubypass.bench.packets.record import PacketRecord, added, read_packet_records
from ubypass.bench.packets.words import (
    MEANING,
    bypassed,
    not_run,
    price,
    prices,
    received,
    wrong,
)
from ubypass.page.charts import Bar, Row, rows
from ubypass.page.content import (
    Code,
    Column,
    Inline,
    Paragraph,
    Plot,
    Section,
    Strong,
    Table,
    Words,
)
from ubypass.page.svg import Colour

__all__ = ["PACKETS"]

_FIGURES = ("bytes", "counted", "more", "summed", "more")


def _findings(records: Sequence[PacketRecord]) -> list[Words]:
    found: list[Words] = [(line,) for line in (*prices(records), *not_run(records))]
    return found + [(Strong(line),) for line in wrong(records)]


def _section(records: Sequence[PacketRecord]) -> Section:
    first = records[0]
    return Section(
        "Packets",
        (
            Paragraph(
                (
                    Code(first.command),
                    f", {first.date}; {where(first.machine)}. One UDP packet over a "
                    f"veth pair, in {unit(first.machine)}; more: than without a "
                    f"receiver. {MEANING}",
                )
            ),
            *_plots(records),
            _table(records),
        ),
        standard(first.machine).value,
    )


def _table(records: Sequence[PacketRecord]) -> Table:
    lines: list[tuple[Inline, ...]] = []
    for size, kind in dict.fromkeys((r.size, r.kind) for r in records):
        of = [r for r in records if (r.size, r.kind) == (size, kind)]
        lines.append(
            (
                of[0].receiver,
                f"{size}",
                *_figures([r for r in of if not r.sum], records),
                *_figures([r for r in of if r.sum], records),
                bypassed(of) or "-",
                Strong("WRONG") if received(of) == "WRONG" else received(of) or "-",
            )
        )
    return Table(
        "Packets",
        (
            Column("receiver", False),
            *map(Column, _FIGURES),
            Column("bypassed"),
            Column("received", False),
        ),
        tuple(lines),
    )


def _figures(
    of: Sequence[PacketRecord], records: Sequence[PacketRecord]
) -> tuple[str, str]:
    """The cost, and the difference to the cost with nothing attached."""
    cost, more = price(of, records)
    # A receiver that was not run gets no dash: there is nothing to compare.
    none = "-" if of and of[0].cost is not None else ""
    return cost, none if more is None else signed(more)


def _plots(records: Sequence[PacketRecord]) -> list[Plot]:
    """One plot for each machine, size and sum: costs beyond those of the stack."""
    found = []
    cases = dict.fromkeys((r.machine, r.size, r.sum) for r in records)
    for machine, size, add in cases:
        of = [r for r in records if (r.machine, r.size, r.sum) == (machine, size, add)]
        drawn = [
            (record, more)
            for record in of
            if record.kind != "stack" and (more := added(record, records)) is not None
        ]
        if not drawn:
            continue
        caption = (
            f"{unit(machine).capitalize()} for each packet of {size} bytes"
            f"{', summed' if add else ''}, more than without a receiver."
        )
        found.append(
            Plot(
                partial(_draw, drawn, caption),
                (caption,),
                standard(machine),
                of[0].command,
            )
        )
    return found


def _draw(drawn: Sequence[tuple[PacketRecord, float]], caption: str, key: str) -> str:
    content = [
        Row(
            record.receiver,
            signed(more),
            (
                Bar(
                    min(more, 0.0),
                    max(more, 0.0),
                    Colour.C1 if record.dispatched is None else Colour.C2,
                ),
            ),
        )
        for record, more in drawn
    ]
    axis = f"{unit(drawn[0][0].machine)} more for each packet"
    legend = (("native", Bar, Colour.C1), ("boosted", Bar, Colour.C2))
    return rows(key, caption, content, axis, legend, reference=0.0)


PACKETS = Kind(
    command="ub bench packets",
    keys=frozenset({"receiver", "packets"}),
    read=read_packet_records,
    findings=_findings,
    section=_section,
    origins=origins,
)
