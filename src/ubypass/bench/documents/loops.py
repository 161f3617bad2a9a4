# SPDX-License-Identifier: GPL-2.0-only
"""Description of loops around one system call (``ub bench io``)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ubypass.bench.documents.kind import Kind, Pair, grouped
from ubypass.bench.documents.origins import origins
from ubypass.bench.documents.wording import (
    change,
    floor_percent,
    signed_percent,
    standard,
    unit,
    where,
)
from ubypass.bench.records import Record
from ubypass.page.charts import Bar, Row, Shape, rows
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

__all__ = ["LOOPS", "costs", "name"]

_FINE = 10  # smaller deviations are printed with one more digit
_COLUMNS = ("native", "boosted", "limit", "cost", "gained", "bypassed")


def name(record: Record) -> str:
    """The name of the loop, with size and place of the data."""
    size = f" {record.size}" if record.size else ""
    place = "" if record.place == "memory" else f", {record.place}"
    return f"{record.workload}{size}{', sum' if record.sum else ''}{place}"


def costs(record: Record) -> list[str]:
    """The costs native and boosted, with their deviations if any."""
    both = (record.native, record.boosted)
    if record.deviations is None:
        return [f"{cost:,.0f}" for cost in both]
    return [
        f"{cost:,.0f}±{deviation:,.{0 if deviation >= _FINE else 1}f}"
        for cost, deviation in zip(both, record.deviations, strict=True)
    ]


def _findings(records: Sequence[Record]) -> list[Words]:
    """A sentence for all sizes of a loop, and one for each loop that went wrong."""
    found: list[Words] = []
    for group in _groups(records):
        good = [record for record in group if record.is_boosted]
        if good:
            found.append(_gain(good))
        for record in group:
            if not record.is_boosted:
                why = "; ".join(record.why_not) or "the engine has not examined it"
                rate = floor_percent(record.bypass_rate)
                found.append(
                    (
                        f"{name(record)}: not boosted, {rate} of its calls were "
                        f"dispatched: {why}.",
                    )
                )
            if not record.same_results:
                found.append((f"{name(record)}: ", Strong("read other data"), "."))
    return found


def _gain(group: Sequence[Record]) -> Words:
    changes = {record: record.boosted / record.native - 1 for record in group}
    best = min(group, key=changes.__getitem__)
    worst = max(group, key=changes.__getitem__)
    what = f"{unit(best.machine)} per call"
    less = "fewer" if best.machine.unit == "instructions" else "less"
    costs = [f"({r.native:,.0f} → {r.boosted:,.0f})" for r in (best, worst)]
    finding = f"{change(changes[best], 'more', less)} {what} {costs[0]}"
    if len(group) > 1:
        finding += f", to {change(changes[worst], 'more', less)} {costs[1]}"
    rate = floor_percent(min(record.bypass_rate for record in group))
    title = _title(best) if len(group) > 1 else name(best)
    return (f"{title}: {finding}; {rate} of them dispatched.",)


def _title(record: Record) -> str:
    place = "" if record.place == "memory" else f", {record.place}"
    return f"{record.workload}{', sum' if record.sum else ''}{place}, all sizes"


def _groups(records: Sequence[Record]) -> list[list[Record]]:
    """Loops that differ only in size."""
    return list(grouped(records, lambda r: (r.workload, r.sum, r.place)).values())


def _section(records: Sequence[Record]) -> Section:
    machine = records[0].machine
    return Section(
        "Reads from a disk" if _is_disk(records) else "Loops",
        (
            Paragraph(
                (
                    Code(_command(records)),
                    f"; {where(machine)}. One iteration of a loop around a system "
                    f"call, in {unit(machine)}; limit: with free bypassing.",
                )
            ),
            *_plots(records),
            _table(records),
        ),
        standard(machine).value,
    )


def _table(records: Sequence[Record]) -> Table:
    lines: list[tuple[Inline, ...]] = [
        (
            name(record),
            *costs(record),
            f"{record.limit:,.0f}",
            f"{record.dispatch_cost:,.0f}",
            "-" if record.capture is None else f"{record.capture:.1%}",
            f"{record.bypass_rate:.2%}",
            "same" if record.same_results else Strong("differs"),
        )
        for record in records
    ]
    return Table(
        "Loops",
        (Column("loop", False), *map(Column, _COLUMNS), Column("data", False)),
        tuple(lines),
    )


def _plots(records: Sequence[Record]) -> list[Plot]:
    """One plot for each machine, place and ``sum``."""
    groups = grouped(records, lambda r: (r.machine, r.place, r.sum))
    found = []
    for (machine, place, added), group in groups.items():
        held = "" if place == "memory" else f", pages {place}"
        sums = ", data is summed" if added else ""
        caption = f"{unit(machine).capitalize()} per call, by size{sums}{held}."
        found.append(
            Plot(
                partial(_draw, group, caption),
                (caption,),
                standard(machine),
                _command(group),
            )
        )
    return found


def _draw(group: Sequence[Record], caption: str, key: str) -> str:
    legend: list[tuple[str, type[Shape], Colour]] = [
        ("limit", Bar, Colour.C1),
        ("bypassing", Bar, Colour.C2),
        ("saved", Bar, Colour.C3),
    ]
    if any(record.boosted > record.native for record in group):
        legend.append(("lost", Bar, Colour.C7))
    return rows(
        key,
        f"{caption} Native and boosted",
        [
            Row(
                name(record),
                f"{record.native:,.0f} → {record.boosted:,.0f}, "
                f"{signed_percent(record.boosted / record.native - 1)}",
                _bars(record),
            )
            for record in group
        ],
        f"{unit(group[0].machine)} per call",
        legend,
    )


def _bars(record: Record) -> tuple[Shape, ...]:
    """Bars from 0 to the greater of native and boosted; both include the limit."""
    native, boosted = record.native, record.boosted
    limit = min(record.limit, native, boosted)
    least, most = min(native, boosted), max(native, boosted)
    return (
        Bar(0, limit, Colour.C1),
        Bar(limit, least, Colour.C2),
        Bar(least, most, Colour.C3 if boosted <= native else Colour.C7),
    )


def _is_disk(records: Sequence[Record]) -> bool:
    return any(record.place != "memory" for record in records)


def _command(records: Sequence[Record]) -> str:
    default = "ub bench io --disk" if _is_disk(records) else "ub bench io"
    return records[0].command or default


def _pairs(records: Sequence[Record]) -> list[Pair]:
    return [
        # Means are compared with means.
        Pair(
            name(r) + ("" if r.deviations is None else ", means"),
            *(r.machine, r.native, r.boosted, r.capture, _command([r])),
        )
        for r in records
    ]


LOOPS = Kind(
    command="ub bench io",
    keys=frozenset({"workload", "bypass_rate"}),
    read=lambda data: [Record.from_json(item) for item in data],
    findings=_findings,
    section=_section,
    origins=partial(origins, command=_command),
    pairs=_pairs,
)
