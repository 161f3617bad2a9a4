# SPDX-License-Identifier: GPL-2.0-only
"""The figures of ``ub bench translate`` as a table; depends only on :class:`Costs`."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from ubypass.bench.console import wide_enough
from ubypass.bench.translation import STAGES, Costs

__all__ = ["render", "show"]


def show(costs: Costs, console: Console | None = None) -> None:
    """Print the table and a summary."""
    wide_enough(console).print(render(costs))


def render(costs: Costs) -> RenderableType:
    """Microseconds per user instruction, then memory."""
    table = Table(
        title="Microseconds of CPU time for each user instruction",
        title_style="bold",
        pad_edge=False,
    )
    table.add_column("")
    for name in (*STAGES, "total"):
        table.add_column(name, justify="right")
    for name, warm in (("the first time", False), ("again", True)):
        each = costs.each(warm)
        table.add_row(name, *(f"{value:.1f}" for value in (*each, sum(each))))
    instructions = sum(cost.instructions for cost in costs.regions)
    largest = max(costs.regions, key=lambda cost: cost.instructions)
    mib = 1 << 20
    lines = [
        f"{len(costs.regions)} regions, {instructions:,} instructions; the largest, "
        f"{largest.instructions:,}, took {sum(largest.first) / 1000:,.0f} ms at first, "
        f"{sum(largest.again) / 1000:,.0f} ms again.",
        f"Memory: {costs.peak / mib:,.0f} MiB at most, {costs.before / mib:,.1f} MiB "
        f"before and {costs.after / mib:,.1f} MiB after {costs.builds:,} more builds.",
    ]
    if not costs.compiled:
        lines.append(
            "The translator is not compiled, and therefore slower (make prepare)."
        )
    return Group(table, *map(Text, lines))
