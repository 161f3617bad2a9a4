# SPDX-License-Identifier: GPL-2.0-only
"""A chart of curves over powers of two, told apart by a legend."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING

from ubypass.page.charts import Curve, above, legend_size
from ubypass.page.svg import Colour, drawing, figure, svg

if TYPE_CHECKING:
    from matplotlib.artist import Artist

__all__ = ["trends"]

_HEIGHT = 200.0  # points
_MOST = 6  # labels of the axis

_COLOURS = (
    *(Colour.C2, Colour.C4, Colour.C3, Colour.C5, Colour.C6, Colour.C7),
    Colour.C1,
)
#: Told apart without colours, too.
_MARKERS = "osD^vP*"


def trends(
    key: str,
    title: str,
    content: Sequence[Curve],
    axes_names: tuple[str, str],
    figures: str,
) -> str:
    """An SVG element: curves with a dot at each point, and a line at 0.

    Values on the x axis are powers of two. ``title``: the start of the alternative
    text; ``axes_names``: labels of x and y; ``figures``: the format of values in the
    alternative text, as for :meth:`str.format`. Raises UbError.
    """
    with drawing():
        columns, height = legend_size([curve.label for curve in content])
        drawn = figure(_HEIGHT + height)
        axes = drawn.add_subplot()
        axes.set_xscale("log", base=2)
        handles: list[Artist] = []
        for curve, colour, marker in zip(content, cycle(_COLOURS), cycle(_MARKERS)):
            across, up = zip(*curve.points, strict=True)
            handles += axes.plot(
                across,
                up,
                color=colour.value,
                linewidth=1.6,
                marker=marker,
                markersize=4,
                label=curve.label,
            )
        places = sorted({at for curve in content for at, _ in curve.points})
        axes.set_xticks(places[:: -(-len(places) // _MOST)], minor=False)
        axes.set_xticks([], minor=True)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.axhline(0, color=Colour.MUTED.value, linewidth=1, zorder=1)
        axes.set_xlabel(axes_names[0])
        axes.set_ylabel(axes_names[1])
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        above(axes, handles, columns)
        parts = "; ".join(_told(curve, figures) for curve in content)
        return svg(drawn, key, f"{title} {parts}.")


def _told(curve: Curve, figures: str) -> str:
    (start, first), (end, last) = curve.points[0], curve.points[-1]
    text = f"{curve.label}: {figures.format(first)} at {start:,.0f}"
    if len(curve.points) == 1:
        return text
    return f"{text}, {figures.format(last)} at {end:,.0f}"
