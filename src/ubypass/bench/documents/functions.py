# SPDX-License-Identifier: GPL-2.0-only
"""Description of timed translations of functions (``ub bench functions``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ubypass.bench.documents.kind import Kind, Origin, known
from ubypass.bench.functions import Timing, geomean
from ubypass.page.content import (
    Code,
    Column,
    Paragraph,
    Section,
    Standard,
    Strong,
    Table,
    Words,
)

__all__ = ["FUNCTIONS"]

_COMMAND = "ub bench functions"


def _read(data: Mapping[str, Any]) -> list[Timing]:
    # Ratio and growth are recomputed.
    return [Timing(**known(Timing, item)) for item in data["functions"]]


def _findings(timings: Sequence[Timing]) -> list[Words]:
    inside = [timing for timing in timings if timing.left is None]
    if not inside:
        return [("All functions leave their translations early.",)]
    return [
        (
            f"{len(inside)} functions of libraries: translated they take "
            f"{geomean(timings):.3f} times as long, without gains by dispatches.",
        )
    ]


def _section(timings: Sequence[Timing]) -> Section:
    inside = sorted((t for t in timings if t.left is None), key=lambda t: -t.ratio)
    return Section(
        "Functions of libraries",
        (
            Paragraph(
                (Code(_COMMAND), ": cycles per call, medians of alternating runs.")
            ),
            Table(
                "Functions",
                (
                    Column("function", False),
                    *map(Column, ("native", "translated", "ratio", "growth")),
                    Column("results", False),
                ),
                tuple(
                    (
                        timing.name,
                        f"{timing.native:,.1f}",
                        f"{timing.translated:,.1f}",
                        f"{timing.ratio:.2f}",
                        f"{timing.growth:.2f}",
                        "same" if timing.same else Strong("differ"),
                    )
                    for timing in inside
                ),
            ),
        ),
        Standard.TIMED.value,
    )


FUNCTIONS = Kind(
    command=_COMMAND,
    keys=frozenset({"functions", "geomean"}),
    read=_read,
    findings=_findings,
    section=_section,
    origins=lambda timings: [Origin(_COMMAND, Standard.TIMED, ())],
    whole=True,
)
