# SPDX-License-Identifier: GPL-2.0-only
"""The same loops and servers on several machines: what isolation costs and boosting
saves of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import cycle

from ubypass.bench.documents.kind import Pair, grouped
from ubypass.bench.documents.mitigations import mitigations
from ubypass.bench.documents.names import machine_names, rank
from ubypass.bench.documents.read import Batch
from ubypass.bench.documents.wording import signed, signed_percent, standard, unit
from ubypass.bench.records import Machine
from ubypass.page.charts import Dot, Range, Row, Shape, rows
from ubypass.page.content import (
    Bullets,
    Column,
    Inline,
    Paragraph,
    Plot,
    Section,
    Standard,
    Table,
    Words,
)
from ubypass.page.svg import Colour

__all__ = ["TITLE", "sections"]

#: Most rows in one plot.
_ROWS = 14

_COLOURS = (
    *(Colour.C1, Colour.C2, Colour.C4, Colour.C3),
    *(Colour.C5, Colour.C6, Colour.C7),
)

TITLE = "What isolation and mitigations change"

_COLUMNS = ("native", "boosted", "ratio", "saved", "gained")
_COUNTED = (
    " Counts show which code the kernel executes, not its time: a write to CR3, which "
    "switches page tables, and a verw, which clears buffers, are one instruction each."
)


def sections(batches: Sequence[Batch]) -> list[Section]:
    """A section for each standard with cases that were measured on several machines."""
    pairs = [pair for batch in batches for pair in batch.kind.pairs(batch.records)]
    found = []
    for label, own in grouped(pairs, lambda pair: standard(pair.machine)).items():
        cases = _cases(own)
        if cases:
            found.append(_section(label, cases))
    return found


def _cases(pairs: Sequence[Pair]) -> list[dict[Machine, Pair]]:
    """For each case on at least two machines: its last measurement on each."""
    groups = grouped(pairs, lambda pair: pair.case).values()
    found = [{pair.machine: pair for pair in group} for group in groups]
    return [case for case in found if len(case) > 1]


def _section(label: Standard, cases: Sequence[dict[Machine, Pair]]) -> Section:
    machines = sorted({one for case in cases for one in case}, key=_order)
    names = machine_names(machines)
    what = unit(machines[0])
    text = (
        f"One iteration of a loop, or one request to a server, in {what}; saved: "
        "native less boosted; gained: share of the cost of all transitions. On another "
        "processor libc and the kernel also choose other code: only machines with the "
        "same processor differ by isolation and mitigations alone."
    )
    if label is Standard.COUNTED:
        text += _COUNTED
    sentences = [_sentence(one, machines[0], names, cases) for one in machines]
    return Section(
        TITLE,
        (
            Paragraph((text,)),
            Bullets(tuple(sentences)),
            *_plots(label, names, cases),
            _table(machines, names, cases),
        ),
        label.value,
    )


def _order(machine: Machine) -> tuple[bool, int, str]:
    return (*rank(machine), repr(machine))


def _sentence(
    machine: Machine,
    base: Machine,
    names: dict[Machine, str],
    cases: Sequence[dict[Machine, Pair]],
) -> Words:
    """What its kernel switches on, and how costs differ from those of ``base``."""
    active = ", ".join(mitigations(machine)) or "nothing"
    text = f"{names[machine]}: the kernel switches on {active}"
    both = [(c[machine], c[base]) for c in cases if machine in c and base in c]
    if machine == base or not both:
        return (f"{text}.",)
    native = [own.native / other.native - 1 for own, other in both]
    boosted = [own.boosted / other.boosted - 1 for own, other in both]
    return (
        f"{text}; compared with the first, native costs change by {_span(native)}, "
        f"boosted costs by {_span(boosted)}.",
    )


def _span(shares: Sequence[float]) -> str:
    low, high = signed_percent(min(shares)), signed_percent(max(shares))
    return low if low == high else f"{low} to {high}"


def _plots(
    label: Standard, names: dict[Machine, str], cases: Sequence[dict[Machine, Pair]]
) -> list[Plot]:
    """What boosting saves on each machine."""
    caption = "What boosting saves of each case on each machine, in % of native costs."
    found = []
    for at in range(0, len(cases), _ROWS):
        part = cases[at : at + _ROWS]
        commands = dict.fromkeys(p.command for case in part for p in case.values())
        drawn = partial(_draw, part, names, caption)
        found.append(Plot(drawn, (caption,), label, "; ".join(filter(None, commands))))
    return found


def _draw(
    cases: Sequence[dict[Machine, Pair]],
    names: dict[Machine, str],
    caption: str,
    key: str,
) -> str:
    colours = dict(zip(names, cycle(_COLOURS), strict=False))
    content = []
    for case in cases:
        saved = {one: 100 * (1 - p.boosted / p.native) for one, p in case.items()}
        low, high = min(saved.values()), max(saved.values())
        dots = [Dot(saved[one], colours[one]) for one in names if one in saved]
        (label,) = {pair.case for pair in case.values()}
        note = f"{low:.1f}% to {high:.1f}%"
        content.append(Row(label, note, (Range(low, high, Colour.RULE), *dots)))
    legend: list[tuple[str, type[Shape], Colour]] = [
        (_shorter(name), Dot, colours[one]) for one, name in names.items()
    ]
    return rows(key, caption, content, "% saved", legend, reference=0.0)


def _shorter(name: str) -> str:
    name = name.replace(" without page-table isolation", "")
    return name.replace(" with page-table isolation", ", PTI")


def _table(
    machines: Sequence[Machine],
    names: dict[Machine, str],
    cases: Sequence[dict[Machine, Pair]],
) -> Table:
    return Table(
        TITLE,
        (Column("case", False), Column("machine", False), *map(Column, _COLUMNS)),
        tuple(
            _line(case[machine], names[machine])
            for case in cases
            for machine in machines
            if machine in case
        ),
    )


def _line(pair: Pair, name: str) -> tuple[Inline, ...]:
    return (
        pair.case,
        name,
        f"{pair.native:,.0f}",
        f"{pair.boosted:,.0f}",
        f"{pair.boosted / pair.native:.4f}",
        signed(pair.native - pair.boosted),
        "-" if pair.gained is None else f"{pair.gained:.1%}",
    )
