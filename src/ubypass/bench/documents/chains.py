# SPDX-License-Identifier: GPL-2.0-only
"""Description of replayed chains (``ub bench chains``).

The times are those of a processor. The cost model's predictions for the gaps are
modelled figures and have a plot of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ubypass.bench.chains.decisions import Decisions, decisions_of
from ubypass.bench.chains.figures import Figures, Gap, ModeFigures
from ubypass.bench.documents.kind import Kind, Origin, grouped
from ubypass.bench.documents.transition import savings
from ubypass.bench.documents.wording import signed, signed_percent
from ubypass.cost.model import models
from ubypass.page.charts import Dot, Range, Row, rows
from ubypass.page.content import (
    Block,
    Code,
    Column,
    Folded,
    Inline,
    Paragraph,
    Plot,
    Section,
    Standard,
    Strong,
    Table,
    Words,
)
from ubypass.page.svg import Colour
from ubypass.processor import is_emulator

__all__ = ["CHAINS", "Chain"]

_COMMAND = "ub bench chains"
_COLUMNS = (
    *("calls", "dispatched", "runs", "native", "translated", "saved", "quartiles"),
    *("a request", "share", "least", "isolated, modelled", "chain"),
    *("regret, model", "regret, engine"),
)
_OF_GAPS = (
    *("times", "instructions", "native ns", "translated ns", "saved ns"),
    *("quartiles", "share of a request"),
)


@dataclass(frozen=True, slots=True)
class Chain:
    """The figures of a replay, and the decisions of the cost model."""

    figures: Figures
    decisions: Decisions | None


def _read(data: Sequence[Any]) -> list[Chain]:
    return [
        Chain(Figures.from_json(item), decisions_of(item.get("decisions")))
        for item in data
    ]


def _standard(chains: Sequence[Chain]) -> Standard:
    emulated = any(is_emulator(chain.figures.cpu, None) for chain in chains)
    return Standard.EMULATED if emulated else Standard.TIMED


def _whole(figures: Figures) -> ModeFigures | None:
    return None if figures.wrong_words else figures.mode("whole")


def _findings(chains: Sequence[Chain]) -> list[Words]:
    return [_finding(chain.figures) for chain in chains]


def _finding(figures: Figures) -> Words:
    if figures.wrong_words:
        wrong = f"{figures.wrong_words:,} words of memory differ"
        return (f"{figures.name}: ", Strong(wrong), "; nothing was timed.")
    saved, whole = figures.saved, _whole(figures)
    if saved is None or whole is None:
        return (f"{figures.name}: not replayed with transitions; the gain is unknown.",)
    share = figures.share(saved)
    of = f", {abs(share):.1%} of its CPU time" if share is not None else ""
    what = f"{abs(saved):,.0f} ns for each request{of}"
    if whole.low <= 0 <= whole.high:
        low, high = _quartiles(figures, whole)
        return (
            f"{figures.name}: no significant difference, quartiles {signed(low)} to "
            f"{signed(high)} ns for each request (here {signed(saved)}).",
        )
    if whole.high < 0:
        return (f"{figures.name}: loses {what}.",)
    return (f"{figures.name}: saves {what}.",)


def _quartiles(figures: Figures, whole: ModeFigures) -> tuple[float, float]:
    """Quartiles of the ns saved per request, rare gaps included."""
    requests = figures.requests or 1.0
    return whole.low / requests, whole.high / requests


def _section(chains: Sequence[Chain]) -> Section:
    blocks: list[Block] = [
        Paragraph(
            (
                Code(_COMMAND),
                f", replayed on {chains[0].figures.cpu}. ns per request, with "
                "entries, dispatches and exits of the module, without stac and clac; "
                "quartiles: of the saving of a chain with its rare gaps; least: the "
                "share if returns were predicted as without system calls; isolated: "
                "the share with page-table isolation, by the cost model; chain: time "
                "of the whole chain with its system calls, relative to native; "
                "regret: share of the possible saving that is lost if the sign of the "
                "model's figure decides, and by the engine, which measures what it "
                "admits.",
            )
        ),
        *_plots(chains),
        Table(
            "Chains",
            (Column("program", False), *map(Column, _COLUMNS)),
            tuple(map(_line, chains)),
        ),
        Folded("Gap by gap", tuple(_gaps(chain.figures) for chain in chains)),
    ]
    return Section("Chains replayed", blocks, _standard(chains).value)


def _line(chain: Chain) -> tuple[Inline, ...]:
    figures, whole = chain.figures, _whole(chain.figures)
    first: tuple[Inline, ...] = (
        figures.name,
        f"{figures.calls}",
        f"{figures.dispatched}",
        f"{figures.runs}",
    )
    if whole is None or not figures.requests:
        return (*first, *("-" for _ in _COLUMNS[3:]))
    native, translated = (each / figures.requests for each in whole.usual)
    low, high = _quartiles(figures, whole)
    share = figures.share(figures.saved)
    least, isolated = figures.share(figures.least_saved), figures.isolated_shares
    decisions = chain.decisions
    regret = None if decisions is None else decisions.regret
    engine = None if decisions is None else decisions.engine_regret
    return (
        *first,
        f"{native:,.0f}",
        f"{translated:,.0f}",
        signed(native - translated),
        f"{signed(low)} … {signed(high)}",
        "-" if figures.request_ns is None else f"{figures.request_ns:,.0f}",
        _percent(share),
        _percent(least),
        _percent(None if isolated is None else isolated.likely),
        f"{whole.chain:.3f}",
        "-" if regret is None else f"{regret:.1%}",
        "-" if engine is None else f"{engine:.1%}",
    )


def _between(gap: Gap) -> str:
    if gap.low is None or gap.high is None:
        return "-"
    return f"{signed(gap.low)} … {signed(gap.high)}"


def _percent(share: float | None) -> str:
    return "-" if share is None else signed_percent(share)


def _gaps(figures: Figures) -> Table:
    lines: list[tuple[Inline, ...]] = [
        (
            f"{figures.name}: {gap.call} → {gap.following}",
            mode.mode,
            f"{gap.count}",
            f"{gap.instructions:,.0f}",
            f"{gap.native:,.0f}",
            f"{gap.translated:,.0f}",
            signed(gap.saved),
            _between(gap),
            _percent(figures.gap_share(gap)),
        )
        for mode in figures.modes
        if mode.mode in ("work", "whole")
        for gap in mode.gaps
    ]
    return Table(
        f"Gaps of {figures.name}",
        (
            Column("gap", False),
            Column("mode", False),
            *map(Column, _OF_GAPS),
        ),
        tuple(lines),
    )


def _plots(chains: Sequence[Chain]) -> list[Plot]:
    timed = [c for c in chains if _whole(c.figures) is not None and c.figures.requests]
    decided = [c for c in chains if c.decisions is not None and c.decisions.gaps]
    found = []
    if timed:
        caption = (
            "ns saved per request: dot, with quartiles of its chain. A line across 0 "
            "means no significant difference."
        )
        found.append(
            Plot(
                partial(_saved, timed, caption), (caption,), _standard(timed), _COMMAND
            )
        )
    known = [c for c in decided if c.decisions and c.decisions.model in models()]
    if known:
        caption = (
            "ns saved per call of these chains on the processors of the cost table, "
            "by their cost of a transition; gaps that lose according to the model "
            "stay native."
        )
        found.append(
            Plot(
                partial(_modelled, known, caption),
                (caption,),
                Standard.MODELLED,
                _COMMAND,
            )
        )
    return found


def _saved(chains: Sequence[Chain], caption: str, key: str) -> str:
    content = []
    for chain in chains:
        figures, whole = chain.figures, _whole(chain.figures)
        assert whole is not None
        saved, (low, high) = figures.saved or 0.0, _quartiles(figures, whole)
        share = figures.share(saved)
        colour = (
            Colour.C1
            if whole.low <= 0 <= whole.high
            else Colour.C3
            if whole.low > 0
            else Colour.C7
        )
        note = f"{signed(saved)} ns"
        note += "" if share is None else f", {signed_percent(share)}"
        content.append(
            Row(figures.name, note, (Range(low, high, colour), Dot(saved, colour)))
        )
    drawn = {shape.colour for row in content for shape in row.shapes}
    names = (("gain", Colour.C3), ("loss", Colour.C7), ("open", Colour.C1))
    legend = [(name, Dot, colour) for name, colour in names if colour in drawn]
    return rows(key, caption, content, "ns saved per request", legend, reference=0.0)


def _modelled(chains: Sequence[Chain], caption: str, key: str) -> str:
    decided = {c.figures.name: c.decisions for c in chains if c.decisions is not None}
    return savings(key, caption, decided)


def _origins(chains: Sequence[Chain]) -> list[Origin]:
    label = _standard(chains)
    groups = grouped([c.figures for c in chains], lambda f: (f.cpu, f.command))
    return [
        Origin(command or _COMMAND, label, (("processor", cpu),), own[0].date)
        for (cpu, command), own in groups.items()
    ]


CHAINS = Kind(
    command=_COMMAND,
    keys=frozenset({"modes", "captured_on"}),
    read=_read,
    findings=_findings,
    section=_section,
    origins=_origins,
)
