# SPDX-License-Identifier: GPL-2.0-only
"""Plots of what pread needs less than io_uring, by the depth of its queue."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ubypass.bench.documents.kind import grouped
from ubypass.bench.uring.record import BOOSTED
from ubypass.bench.uring.words import Line
from ubypass.page.charts import Curve
from ubypass.page.content import Plot, Standard
from ubypass.page.trends import trends

__all__ = ["gains"]

_AXES = ("depth of the queue", "% less than io_uring")


def gains(
    own: Sequence[Line], what: str, standard: Standard, command: str
) -> list[Plot]:
    """A plot for each place, with a curve for each size.

    ``what``: the unit, in words. Empty without both pread and io_uring.
    """
    found = []
    compared = [line for line in own if line.lead is not None]
    for place, there in grouped(compared, lambda line: line.place).items():
        pread = "boosted pread" if there[0].own == BOOSTED else "pread"
        caption = (
            f"What {pread} needs less than io_uring's best, in % of {what} per "
            f"read, by depth, {place}. Below 0, io_uring needs less."
        )
        drawn = partial(_draw, there, caption)
        found.append(Plot(drawn, (caption,), standard, command))
    return found


def _draw(own: Sequence[Line], caption: str, key: str) -> str:
    by_size = grouped(own, lambda line: line.size)
    content = [
        Curve(f"{size:,} bytes", tuple(map(_point, there)))
        for size, there in by_size.items()
    ]
    return trends(key, caption, content, _AXES, "{:.0f}%")


def _point(line: Line) -> tuple[float, float]:
    return float(line.depth), 100 * (line.lead or 0.0)
