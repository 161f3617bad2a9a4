# SPDX-License-Identifier: GPL-2.0-only
"""The kinds of plots: rows of bars and dots, and curves.

The texts of a row are above the row, so that a plot fits the width of a phone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ubypass.page.svg import FONT, Colour, drawing, figure, svg

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

__all__ = [
    "Bar",
    "Curve",
    "Dot",
    "Range",
    "Row",
    "Shape",
    "above",
    "curves",
    "legend_size",
    "rows",
]

_ROW = 29.0  # points
_AXIS = 40.0
_LEGEND = 17.0
#: Characters of a label that fit a third and a half of the width.
_NARROW, _WIDE = 17, 28
_CURVES = 190.0
_LONGEST = 36  # characters
_CURVES_IN = (
    *(Colour.C2, Colour.C3, Colour.C4, Colour.C5, Colour.C6, Colour.C7),
    Colour.C1,
)
_IN_ALT = 12  # rows in an alternative text, at most


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar from ``start`` to ``end``."""

    start: float
    end: float
    colour: Colour


@dataclass(frozen=True, slots=True)
class Dot:
    """One value; ``hollow``: an outline only."""

    at: float
    colour: Colour
    hollow: bool = False


@dataclass(frozen=True, slots=True)
class Range:
    """A line from ``low`` to ``high``."""

    low: float
    high: float
    colour: Colour


Shape = Bar | Dot | Range


@dataclass(frozen=True, slots=True)
class Row:
    """``label`` on the left and ``note`` on the right, above the shapes."""

    label: str
    note: str
    shapes: tuple[Shape, ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """Points, from left to right."""

    label: str
    points: tuple[tuple[float, float], ...]


def rows(
    key: str,
    title: str,
    content: Sequence[Row],
    axis: str,
    legend: Sequence[tuple[str, type[Shape], Colour]] = (),
    reference: float | None = None,
) -> str:
    """An SVG element of rows. ``title``: the start of the alternative text; ``axis``:
    the label of the axis; ``reference``: a value for comparison. Raises UbError.
    """
    with drawing():
        columns, height = legend_size([label for label, _, _ in legend])
        drawn = figure(_AXIS + _ROW * len(content) + height)
        axes = drawn.add_subplot()
        _draw_rows(axes, content, axis)
        if reference is not None:
            axes.axvline(reference, color=Colour.MUTED.value, linewidth=1, zorder=1)
        if legend:
            above(axes, [_handle(*entry) for entry in legend], columns)
        return svg(drawn, key, _alt(title, content))


def curves(
    key: str,
    title: str,
    content: Sequence[Curve],
    marks: Sequence[Row],
    axes_names: tuple[str, str],
) -> str:
    """An SVG element: curves, and rows below them on the same axis. The first dot of
    each row is marked in all curves. ``axes_names``: labels of x and y. Raises UbError.
    """
    with drawing():
        drawn = figure(_CURVES + _AXIS + _ROW * len(marks))
        over, below = drawn.subplots(
            2, sharex=True, height_ratios=(_CURVES, _ROW * len(marks))
        )
        for curve, colour in zip(content, _CURVES_IN, strict=False):
            across, up = zip(*curve.points, strict=True)
            over.plot(across, up, color=colour.value, linewidth=1.8)
            over.annotate(
                curve.label,
                (across[-1], up[-1]),
                xytext=(4, 0),
                textcoords="offset points",
                color=Colour.INK.value,
                va="center",
                annotation_clip=False,
            )
        over.set_ylabel(axes_names[1])
        over.grid(axis="y")
        over.set_axisbelow(True)
        over.margins(x=0)
        over.tick_params(bottom=False)
        _draw_rows(below, marks, axes_names[0])
        for row in marks:
            dot = next(shape for shape in row.shapes if isinstance(shape, Dot))
            over.axvline(dot.at, color=Colour.MUTED.value, linewidth=0.8, zorder=0.5)
        parts = [
            f"{c.label}: {c.points[0][1]:.3g} to {c.points[-1][1]:.3g}" for c in content
        ]
        return svg(drawn, key, f"{_alt(title, marks)} {'; '.join(parts)}.")


def legend_size(labels: Sequence[str]) -> tuple[int, float]:
    """The number of columns of a legend, and its height in points."""
    longest = max(map(len, labels), default=0)
    # The legend fills columns: four entries in three columns would leave gaps.
    columns = 2 if len(labels) == 4 else 3
    if longest > _NARROW:
        columns = 1 if longest > _WIDE else 2
    return columns, _LEGEND * -(-len(labels) // columns)


def above(axes: Axes, handles: Sequence[Artist], columns: int) -> None:
    """Put a legend above the axes, flush left."""
    axes.legend(
        handles=list(handles),
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        borderaxespad=0.2,
        ncols=columns,
        handlelength=1.1,
        columnspacing=1.4,
        borderpad=0,
    )


def _draw_rows(axes: Axes, content: Sequence[Row], axis: str) -> None:
    for number, row in enumerate(content):
        for shape in row.shapes:
            _draw(axes, shape, number)
        for text, at, side in ((row.label, 0.0, "left"), (row.note, 1.0, "right")):
            axes.text(
                at,
                number - 0.22,
                _short(text),
                transform=axes.get_yaxis_transform(),
                ha=side,
                va="center",
                fontsize=FONT,
                color=(Colour.INK if side == "left" else Colour.MUTED).value,
                # Lines across all rows are drawn behind the text.
                bbox={"facecolor": Colour.PAGE.value, "linewidth": 0, "pad": 0.5},
                zorder=4,
            )
    axes.set_ylim(len(content) - 0.55, -0.55)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(axis)
    if max(map(abs, axes.get_xlim())) >= 1000:
        axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.grid(axis="x")
    axes.set_axisbelow(True)


def _draw(axes: Axes, shape: Shape, number: int) -> None:
    at = number + 0.16
    if isinstance(shape, Bar):
        axes.barh(
            at,
            shape.end - shape.start,
            0.32,
            left=shape.start,
            color=shape.colour.value,
            linewidth=0,
        )
    elif isinstance(shape, Range):
        axes.plot(
            (shape.low, shape.high),
            (at, at),
            color=shape.colour.value,
            linewidth=2.2,
            solid_capstyle="butt",
            zorder=2,
        )
    else:
        axes.plot(
            shape.at,
            at,
            marker="o",
            markersize=5.5,
            markeredgewidth=1.4,
            markerfacecolor=(Colour.PAGE if shape.hollow else shape.colour).value,
            markeredgecolor=shape.colour.value,
            zorder=3,
        )


def _handle(label: str, kind: type[Shape], colour: Colour) -> Artist:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    if kind is Bar:
        return Patch(color=colour.value, label=label, linewidth=0)
    if kind is Range:
        return Line2D([], [], color=colour.value, linewidth=2.2, label=label)
    return Line2D(
        [],
        [],
        marker="o",
        linestyle="",
        markersize=5.5,
        color=colour.value,
        label=label,
    )


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _alt(title: str, content: Sequence[Row]) -> str:
    parts = [f"{row.label}: {row.note}" for row in content[:_IN_ALT]]
    more = len(content) - _IN_ALT
    rest = f"; and {more} more in the table" if more > 0 else ""
    return f"{title}. {'; '.join(parts)}{rest}."
