# SPDX-License-Identifier: GPL-2.0-only
"""A picture of the dashboard over recorded figures: what Prometheus answers it.

    .venv/bin/python -m tests.pictures.dashboard build/pictures/metrics.om OUT.png

Not Grafana's own drawing: panels are where the dashboard places them, with its titles,
units, colours of states and names of series; matplotlib draws them.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.pictures import openmetrics, panels, prometheus

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLORS", "draw", "main", "shown", "state"]

# Inches of a cell of Grafana's grid, which has 24 columns.
_CELL, _COLUMNS, _DOTS = (0.5, 0.3), 24, 100
_BACK, _PANEL, _TEXT, _DIM = "#111217", "#181b1f", "#ccccdc", "#80838c"
#: Of states, by Grafana's names.
COLORS = {"red": "#c4162a", "green": "#299c46", "orange": "#e0752d"}
_LINES = ("#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#b877d9", "#5794f2")
_LEGEND = 6  # lines at most


def shown(value: float, unit: str) -> str:
    """A number with its unit as Grafana writes it, to three digits."""
    if math.isnan(value):
        return "no value"
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    if unit == "bytes":
        power = min(int(math.log(max(value, 1), 1024)), 3)
        return f"{value / 1024**power:.3g} {('B', 'KiB', 'MiB', 'GiB')[power]}"
    if unit == "ops":
        return f"{_short(value)} ops/s"
    return f"{_short(value)} s" if unit == "s" else _short(value)


def _short(value: float) -> str:
    for size, letter in ((1e6, " Mil"), (1e3, " K")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def state(description: Mapping[str, Any], value: float, name: str) -> tuple[str, str]:
    """Text and colour of a number, by mappings, thresholds and text mode."""
    defaults = description["fieldConfig"]["defaults"]
    text, color = shown(value, defaults["unit"]), "green"
    for mapping in defaults.get("mappings", ()):
        found = mapping["options"].get(f"{value:g}")
        if found is not None:
            text, color = found["text"], found["color"]
    for step in defaults.get("thresholds", {}).get("steps", ()):
        if step["value"] is None or value >= step["value"]:
            color = step["color"]
    if description["options"].get("textMode") == "name":
        text = name
    return text, COLORS[color]


def draw(found: Sequence[panels.Panel], title: str) -> Figure:
    """All panels in their places."""
    from matplotlib.figure import Figure

    places = [panel.description["gridPos"] for panel in found]
    rows = max(place["y"] + place["h"] for place in places) + 1
    width, height = _COLUMNS * _CELL[0], rows * _CELL[1]
    figure = Figure(figsize=(width, height), dpi=_DOTS, facecolor=_BACK)
    figure.text(0.006, 1 - 0.5 / rows, title, color=_TEXT, va="center", size=11)
    for panel, place in zip(found, places, strict=True):
        box = (
            place["x"] / _COLUMNS,
            1 - (place["y"] + 1 + place["h"]) / rows,
            place["w"] / _COLUMNS,
            place["h"] / rows,
        )
        kind = panel.description["type"]
        {"row": _row, "stat": _stat, "timeseries": _plot}[kind](figure, panel, box)
    return figure


_Box = tuple[float, float, float, float]


def _row(figure: Figure, panel: panels.Panel, box: _Box) -> None:
    figure.text(
        box[0] + 0.006, box[1] + box[3] / 2, panel.title, color=_TEXT, va="center"
    )


def _within(figure: Figure, box: _Box, inches: _Box) -> Axes:
    """Axes in a box, so many inches from its left, lower, right and upper side."""
    left, low, right, up = inches
    wide, high = figure.get_size_inches()
    return figure.add_axes(
        (
            box[0] + left / wide,
            box[1] + low / high,
            box[2] - (left + right) / wide,
            box[3] - (low + up) / high,
        )
    )


def _frame(figure: Figure, panel: panels.Panel, box: _Box, color: str) -> None:
    axes = _within(figure, box, (0.04, 0.04, 0.04, 0.04))
    axes.set(xticks=[], yticks=[], facecolor=color)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.annotate(
        panel.title,
        (0, 1),
        (6, -6),
        xycoords="axes fraction",
        textcoords="offset points",
        va="top",
        color="white",
        size=9,
    )


def _stat(figure: Figure, panel: panels.Panel, box: _Box) -> None:
    words, color = "No data", _PANEL
    if panel.series:
        last = panel.series[-1]
        words, color = state(panel.description, last.values[-1], last.name)
    _frame(figure, panel, box, color)
    middle = (box[0] + box[2] / 2, box[1] + box[3] * 0.42)
    figure.text(*middle, words, color="white", ha="center", va="center", size=20)


def _plot(figure: Figure, panel: panels.Panel, box: _Box) -> None:
    _frame(figure, panel, box, _PANEL)
    defaults = panel.description["fieldConfig"]["defaults"]
    lines = min(len(panel.series), _LEGEND)
    low = 0.32 + 0.15 * max(lines, 1)
    axes = _within(figure, box, (0.85, low, 0.2, 0.36))
    axes.set_facecolor(_PANEL)
    axes.tick_params(colors=_DIM, labelsize=7, length=0)
    axes.grid(color="#2c3036", linewidth=0.5)
    for side in axes.spines.values():
        side.set_visible(False)
    if not panel.series:
        axes.set(xticks=[], yticks=[])
        axes.text(
            0.5, 0.5, "No data", color=_DIM, ha="center", transform=axes.transAxes
        )
        return
    _lines(axes, panel)
    unit = defaults["unit"]
    axes.yaxis.set_major_formatter(lambda value, _: shown(value, unit))
    axes.locator_params("y", nbins=4)
    axes.xaxis.set_major_formatter(_clock)
    axes.locator_params("x", nbins=5)
    for number, series in enumerate(panel.series[:lines]):
        at = (box[0] + 0.012, box[1] + 0.1 / figure.get_size_inches()[1])
        up = (lines - 1 - number) * 0.15 / figure.get_size_inches()[1]
        words = f"{series.name}   {shown(series.values[-1], unit)}"
        if number == lines - 1 and len(panel.series) > lines:
            words += f"   and {len(panel.series) - lines} more"
        color = _LINES[number % len(_LINES)]
        figure.text(at[0], at[1] + up, words, color=color, size=7)


def _lines(axes: Axes, panel: panels.Panel) -> None:
    custom = panel.description["fieldConfig"]["defaults"]["custom"]
    below: dict[float, float] = {}
    for number, series in enumerate(panel.series):
        color = _LINES[number % len(_LINES)]
        base = [below.get(time, 0.0) for time in series.times]
        if custom["stacking"]["mode"] == "none":
            base = [0.0] * len(base)
        values = [b + value for b, value in zip(base, series.values, strict=True)]
        below.update(zip(series.times, values, strict=True))
        axes.plot(series.times, values, color=color, linewidth=1)
        alpha = custom["fillOpacity"] / 100
        axes.fill_between(series.times, base, values, color=color, alpha=alpha, lw=0)
    if all(value >= 0 for series in panel.series for value in series.values):
        axes.set_ylim(bottom=0)


def _clock(seconds: float, _: Any) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M")


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a picture as the command line says."""
    parser = argparse.ArgumentParser(
        prog="tests.pictures.dashboard", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("metrics", type=Path, metavar="METRICS.om")
    parser.add_argument("out", type=Path, metavar="OUT.png")
    args = parser.parse_args(arguments)
    if not prometheus.found():
        parser.error(f"there is no Prometheus: apt install {prometheus.PACKAGE}")
    start, end = openmetrics.span(args.metrics)
    with prometheus.serving(args.metrics) as answers:
        found = panels.answered(answers, start, end, max((end - start) / 200, 1.0))
    title = panels.dashboard()["title"]
    draw(found, f"{title}: the queries of ubypass.json, not drawn by Grafana").savefig(
        args.out
    )


if __name__ == "__main__":
    main()
