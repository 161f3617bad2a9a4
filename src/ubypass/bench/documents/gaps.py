# SPDX-License-Identifier: GPL-2.0-only
"""Description of single-stepped gaps (``ub bench gaps``)."""

from __future__ import annotations

from collections.abc import Sequence

from ubypass.bench.documents.kind import Kind, Origin
from ubypass.bench.server.gaps import LOOP, Gap, read_gaps
from ubypass.page.content import (
    Block,
    Code,
    Column,
    Inline,
    Paragraph,
    Section,
    Standard,
    Table,
    Words,
)

__all__ = ["GAPS"]

_COMMAND = "ub bench gaps"
_FIGURES = ("share", "least", "median", "most", "translated", "growth")


def _findings(gaps: Sequence[Gap]) -> list[Words]:
    turns = _turns(gaps)
    return [(turns,)] if turns else []


def _turns(gaps: Sequence[Gap]) -> str:
    turns = [
        (gap.median, gap.translated)
        for gap in gaps
        if gap.server == LOOP and gap.translated and gap.call == gap.following
    ]
    if not turns:
        return ""
    native, inside = (sum(column) for column in zip(*turns, strict=True))
    return (
        f"Iterations of all loops, together: {native:,} instructions natively, "
        f"{inside:,} in translations ({inside / native:.2f})."
    )


def _section(gaps: Sequence[Gap]) -> Section:
    blocks: list[Block] = [
        Paragraph(
            (
                Code(_COMMAND),
                ", by single-stepping natively: user instructions from the return of "
                "a call to the next call. A dispatched call saves one transition, so "
                "a gap pays as long as its translation executes fewer additional "
                "instructions: the longer the gap, the less it may grow. For short "
                "gaps the instructions of the translation were counted along the "
                "same paths.",
            )
        ),
        Table(
            "Gaps",
            (
                *(Column(title, False) for title in ("program", "site", "call")),
                Column("next", False),
                *map(Column, _FIGURES),
            ),
            tuple(map(_line, gaps)),
        ),
    ]
    return Section("Gaps", blocks, Standard.COUNTED.value)


def _line(gap: Gap) -> tuple[Inline, ...]:
    return (
        f"{gap.server} {gap.case}",
        gap.site,
        gap.call,
        gap.following,
        f"{gap.share:.1%}",
        f"{gap.least:,}",
        f"{gap.median:,}",
        f"{gap.most:,}",
        "" if gap.growth is None else f"{gap.translated:,}",
        "" if gap.growth is None else f"{gap.growth:.2f}",
    )


GAPS = Kind(
    command=_COMMAND,
    keys=frozenset({"following", "least"}),
    read=read_gaps,
    findings=_findings,
    section=_section,
    origins=lambda gaps: [Origin(_COMMAND, Standard.COUNTED, ())],
)
