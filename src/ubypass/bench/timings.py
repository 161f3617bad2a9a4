# SPDX-License-Identifier: GPL-2.0-only
"""The figures of ``ub bench functions`` as a table; depends only on timings."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from ubypass.bench.console import wide_enough
from ubypass.bench.functions import Timing, geomean

__all__ = ["render", "show"]


def show(timings: Sequence[Timing], console: Console | None = None) -> None:
    """Print the table and its summary."""
    wide_enough(console).print(render(timings))


def render(timings: Sequence[Timing]) -> RenderableType:
    """The table, worst ratio first, and a summary."""
    inside = [t for t in timings if t.left is None]
    early = [t for t in timings if t.left is not None]
    table = Table(
        title="Functions of this machine's libraries: cycles per call",
        title_style="bold",
        pad_edge=False,
    )
    table.add_column("function")
    for name in ("native", "translated", "ratio", "growth"):
        table.add_column(name, justify="right")
    table.add_column("results")
    for t in sorted(inside, key=lambda t: -t.ratio):
        table.add_row(
            t.name,
            f"{t.native:,.1f}",
            f"{t.translated:,.1f}",
            f"{t.ratio:.2f}",
            f"{t.growth:.2f}",
            "same" if t.same else Text("DIFFER", style="bold red"),
        )
    parts: list[RenderableType] = [table]
    if inside:
        parts.append(
            Text(
                f"{len(inside)} functions: translated they take "
                f"{geomean(timings):.3f} times as long (geometric mean)."
            )
        )
    if early:
        names = ", ".join(f"{t.name} ({t.left})" for t in early)
        parts.append(Text(f"{len(early)} leave early and do not count: {names}."))
    parts.append(
        Text(
            "growth: ratio of executed instructions, translated to native. Medians "
            "of alternating runs on one CPU.",
            style="dim",
        )
    )
    return Group(*parts)
