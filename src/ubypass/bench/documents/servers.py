# SPDX-License-Identifier: GPL-2.0-only
"""Description of servers under load (``ub bench server``)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from ubypass.bench.documents import stacks
from ubypass.bench.documents.kind import Kind, Pair, grouped
from ubypass.bench.documents.origins import origins
from ubypass.bench.documents.wording import (
    change,
    floor_percent,
    signed,
    signed_percent,
    standard,
    unit,
    where,
)
from ubypass.bench.server.beside import Beside
from ubypass.bench.server.goals import goals
from ubypass.bench.server.record import ServerRecord
from ubypass.page.charts import Dot, Range, Row, Shape, rows
from ubypass.page.content import (
    Block,
    Bullets,
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
from ubypass.page.shares import Whole, shares
from ubypass.page.svg import Colour

__all__ = ["SERVERS"]

_RATES = "requests/s"
_COLUMNS = (
    *("native", "boosted", "ratio", "spread", "calls", "bypassed", "gained"),
    *("saved ns", _RATES, "regions", "steady s", "translating s", "engine"),
)

#: Most sentences for one server, and most rows in one plot.
_FEW = 6
_ROWS = 14

#: Share of calls dispatched below which a server counts as not boosted.
_LITTLE = 0.01


def _read(data: Sequence[Any]) -> list[ServerRecord | Beside]:
    """Records, and those of rivals after them."""
    return [
        Beside.from_json(item) if "rival" in item else ServerRecord.from_json(item)
        for item in data
    ]


def _boosted(records: Sequence[ServerRecord | Beside]) -> list[ServerRecord]:
    return [record for record in records if isinstance(record, ServerRecord)]


def _rivals(records: Sequence[ServerRecord | Beside]) -> list[Beside]:
    return [record for record in records if isinstance(record, Beside)]


def _findings(records: Sequence[ServerRecord]) -> list[Words]:
    """A sentence for each case, or one for each server with many cases."""
    found: list[Words] = []
    for group in _groups(records):
        if len(group) <= _FEW:
            found += map(_finding, group)
        else:
            found.append(_together(group))
        wrong = sum(record.wrong for record in group)
        if wrong:
            found.append(
                (f"{group[0].server}: ", Strong(f"{wrong:,} replies were wrong"), ".")
            )
    return found


def _finding(record: ServerRecord) -> Words:
    costs = f"{record.native_cost:,.0f} → {record.boosted_cost:,.0f}"
    rate = floor_percent(record.dispatched)
    share = record.ratio - 1
    if record.dispatched < _LITTLE:
        text = (
            f"almost nothing is boosted, {rate} of calls dispatched, cost "
            f"{signed_percent(share)}"
        )
    elif abs(share) <= record.spread:
        text = (
            f"no difference beyond the spread of native runs ({record.spread:.1%}): "
            f"{signed_percent(share)}, {rate} of calls dispatched"
        )
    else:
        less = "fewer" if record.machine.unit == "instructions" else "less"
        text = (
            f"{change(share, 'more', less)} {_amount(record)} for each request "
            f"({costs}{_apart(record)}), "
            f"{rate} of calls dispatched"
        )
    return (f"{_title(record)}: {text}{_saved(record)}.",)


def _title(record: ServerRecord) -> str:
    return f"{record.server} {record.case}"


def _apart(record: ServerRecord) -> str:
    """The range of boosted runs if it is wider than that of native ones; else ""."""
    low, high = min(record.boosted_costs), max(record.boosted_costs)
    if (high - low) / record.native_cost <= record.spread:
        return ""
    runs = (signed_percent(cost / record.native_cost - 1) for cost in (low, high))
    return f", runs from {' to '.join(runs)}"


def _amount(record: ServerRecord) -> str:
    """The unit of the cost of a request."""
    if record.machine.unit == "instructions":
        return "instructions"
    return "ns" if record.by_time else "ns of CPU time"


def _saved(record: ServerRecord) -> str:
    if record.priced_by in ("", "clock"):
        return ""
    saved = signed(record.saved_ns)
    return f"; computed by the model {record.priced_by}: {saved} ns saved"


def _together(group: Sequence[ServerRecord]) -> Words:
    shares = [record.ratio - 1 for record in group]
    gains = sum(s < -r.spread for s, r in zip(shares, group, strict=True))
    losses = sum(s > r.spread for s, r in zip(shares, group, strict=True))
    best, worst = (
        f"{signed_percent(share)} ({group[shares.index(share)].case})"
        for share in (min(shares), max(shares))
    )
    return (
        f"{group[0].server}, {len(group)} cases: {gains} take less, {losses} more, "
        f"{len(group) - gains - losses} show no difference beyond the spread of "
        f"native runs; from {best} to {worst} for each request.",
    )


def _groups(records: Sequence[ServerRecord]) -> list[list[ServerRecord]]:
    return list(grouped(records, lambda record: record.server).values())


def _section(records: Sequence[ServerRecord], rivals: Sequence[Beside]) -> Section:
    first = records[0]
    return Section(
        first.server,
        (
            Paragraph(
                (
                    Code(first.command),
                    f", {first.date}; {where(first.machine)}. One request: "
                    f"{_what(first)} in {unit(first.machine)}; a transition costs "
                    f"{first.transition:.0f}.{_version(first)}{_model(first)}",
                )
            ),
            *_plots(records),
            _table(records, rivals),
            *stacks.blocks(rivals),
            Paragraph(("Exits per request, by reason:",)),
            Bullets(tuple((_exits(record),) for record in records)),
            *_missed(records),
        ),
        standard(first.machine).value,
    )


def _what(record: ServerRecord) -> str:
    return "time" if record.by_time else "CPU time of the server"


def _version(record: ServerRecord) -> str:
    return f" The server is {record.version}." if record.version else ""


def _model(record: ServerRecord) -> str:
    if record.priced_by in ("", "clock"):
        return ""
    return f" Decided by the model {record.priced_by}."


def _table(records: Sequence[ServerRecord], rivals: Sequence[Beside]) -> Table:
    columns = (Column("case", False), *map(Column, _COLUMNS), Column("replies", False))
    rates = [column.title for column in columns].index(_RATES)
    beside = stacks.lines(rivals, rates, len(columns))
    return Table(records[0].server, columns, (*map(_line, records), *beside))


def _line(record: ServerRecord) -> tuple[Inline, ...]:
    data = record.as_json()
    replies = f"{record.checked:,} right"
    return (
        record.case,
        f"{record.native_cost:,.0f}",
        f"{record.boosted_cost:,.0f}",
        f"{record.ratio:.4f}",
        f"{record.spread:.4f}",
        f"{record.calls:.2f}",
        f"{record.dispatched:.1%}",
        "-" if record.capture is None else f"{record.capture:.1%}",
        f"{record.saved_ns:,.0f}",
        f"{data['native_rate']:,.0f} → {data['boosted_rate']:,.0f}",
        f"{record.regions}",
        "never" if record.steady_s is None else f"{record.steady_s:.1f}",
        f"{record.build_s:.2f}",
        f"{record.engine_share:.2%}",
        Strong(f"{record.wrong} of {record.checked:,} wrong")
        if record.wrong
        else replies,
    )


def _exits(record: ServerRecord) -> str:
    reasons = ", ".join(f"{k} {n:.3f}" for k, n in record.exits.items()) or "none"
    return f"{record.case}: {reasons}" + "".join(f"; {note}" for note in record.notes)


def _missed(records: Sequence[ServerRecord]) -> list[Block]:
    missed = [
        (
            f"{record.case}: {goal.what} {goal.figure:.4g}, "
            f"wanted {'at least' if goal.higher else 'at most'} {goal.bound:g}",
        )
        for record in records
        for goal in goals(record)
        if not goal.met
    ]
    if not missed:
        return []
    return [Paragraph(("Goals that were missed:",)), Bullets(tuple(missed))]


def _plots(records: Sequence[ServerRecord]) -> list[Plot]:
    """The plots for each machine: costs, exits, and the time to the steady state."""
    found = []
    for group in _pieces(records):
        first = group[0]
        label, command = standard(first.machine), first.command
        what = (
            _what(first).replace("time", "Time", 1) if first.by_time else _what(first)
        )
        caption = (
            f"{what} for each request, each run beside the median of native ones. The "
            "line is how far native runs lie apart: dots on it show no difference."
        )
        found.append(Plot(partial(_costs, group, caption), (caption,), label, command))
        left = [record for record in group if sum(record.exits.values())]
        if left:
            caption = "Share of exits, by reason; exits for each request on the right."
            found.append(
                Plot(partial(_reasons, left, caption), (caption,), label, command)
            )
        caption = (
            "From the load's start to the first dispatch, and to the steady state, in "
            "seconds of the machine's clock."
        )
        times = [Row(record.case, _when(record), _times(record)) for record in group]
        found.append(Plot(partial(_steady, times, caption), (caption,), label, command))
    return found


def _pieces(records: Sequence[ServerRecord]) -> list[list[ServerRecord]]:
    """Records of one machine, split into groups that fit one plot."""
    groups = grouped(records, lambda r: (r.machine, r.by_time))
    return [
        group[at : at + _ROWS]
        for group in groups.values()
        for at in range(0, len(group), _ROWS)
    ]


def _costs(group: Sequence[ServerRecord], caption: str, key: str) -> str:
    return rows(
        key,
        caption,
        [
            Row(
                record.case,
                f"{record.native_cost:,.0f} → {record.boosted_cost:,.0f}, "
                f"{signed_percent(record.ratio - 1)}",
                _runs(record),
            )
            for record in group
        ],
        f"% more {unit(group[0].machine)} than the median native run",
        (
            ("native", Dot, Colour.C1),
            ("boosted", Dot, Colour.C2),
            ("native runs apart", Range, Colour.RULE),
        ),
        reference=0.0,
    )


def _runs(record: ServerRecord) -> tuple[Shape, ...]:
    def apart(costs: Sequence[float]) -> list[float]:
        return [100 * (cost / record.native_cost - 1) for cost in costs]

    native, boosted = apart(record.native_costs), apart(record.boosted_costs)
    return (
        Range(min(native), max(native), Colour.RULE),
        *(Dot(at, Colour.C1, hollow=True) for at in native),
        *(Dot(at, Colour.C2) for at in boosted),
    )


def _reasons(group: Sequence[ServerRecord], caption: str, key: str) -> str:
    wholes = [
        Whole(record.case, f"{sum(record.exits.values()):.3f}", record.exits)
        for record in group
    ]
    return shares(key, caption, wholes, "% of exits")


def _steady(times: Sequence[Row], caption: str, key: str) -> str:
    return rows(
        key,
        caption,
        times,
        "seconds",
        (("first dispatch", Dot, Colour.C1), ("steady", Dot, Colour.C3)),
        reference=0.0,
    )


def _when(record: ServerRecord) -> str:
    if record.steady_s is None:
        return "never steady"
    first = (
        "no dispatch"
        if record.first_boost_s is None
        else f"first {record.first_boost_s:.1f}"
    )
    return f"{first}, steady {record.steady_s:.1f} s"


def _times(record: ServerRecord) -> tuple[Shape, ...]:
    shapes: list[Shape] = []
    if record.steady_s is not None:
        shapes.append(Range(0.0, record.steady_s, Colour.RULE))
    if record.first_boost_s is not None:
        shapes.append(Dot(record.first_boost_s, Colour.C1, hollow=True))
    if record.steady_s is not None:
        shapes.append(Dot(record.steady_s, Colour.C3))
    return tuple(shapes)


def _pairs(records: Sequence[ServerRecord]) -> list[Pair]:
    return [
        Pair(
            _versioned(r),
            *(r.machine, r.native_cost, r.boosted_cost, r.capture, r.command),
        )
        for r in records
    ]


def _versioned(record: ServerRecord) -> str:
    """The title; versions of a server are no comparison of machines."""
    server = record.version or record.server
    return f"{server} {record.case}{', time' if record.by_time else ''}"


SERVERS = Kind(
    command="ub bench server",
    keys=frozenset({"server", "dispatched"}),
    read=_read,
    findings=lambda records: [
        *_findings(_boosted(records)),
        *stacks.findings(_rivals(records)),
    ],
    section=lambda records: _section(_boosted(records), _rivals(records)),
    origins=origins,
    pairs=lambda records: _pairs(_boosted(records)),
)
