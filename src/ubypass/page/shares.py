# SPDX-License-Identifier: GPL-2.0-only
"""A chart of the composition of wholes: a bar to 100 % for each, by reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ubypass.page.charts import Bar, Row, Shape, rows
from ubypass.page.svg import Colour

__all__ = ["Whole", "shares"]

_COLOURS = (
    *(Colour.C2, Colour.C4, Colour.C3, Colour.C5, Colour.C6, Colour.C7),
    Colour.C1,
)
_REST = "all others"


@dataclass(frozen=True, slots=True)
class Whole:
    """``counts`` by reason, not all of them 0; ``note``: text on the right."""

    label: str
    note: str
    counts: Mapping[str, float]


def shares(key: str, title: str, wholes: Sequence[Whole], axis: str) -> str:
    """An SVG element, as from :func:`ubypass.page.charts.rows`."""
    names = _names(wholes)
    legend: list[tuple[str, type[Shape], Colour]] = [
        (reason.replace("_", " "), Bar, colour)
        for reason, colour in zip(names, _COLOURS, strict=False)
    ]
    content = [Row(w.label, w.note, _bars(w.counts, names)) for w in wholes]
    return rows(key, title, content, axis, legend)


def _names(wholes: Sequence[Whole]) -> list[str]:
    """The reasons with a colour of their own, the most frequent first."""
    total: dict[str, float] = {}
    for whole in wholes:
        for reason, count in whole.counts.items():
            total[reason] = total.get(reason, 0) + count
    found = sorted((r for r in total if total[r]), key=lambda r: (-total[r], r))
    most = len(_COLOURS)
    return found if len(found) <= most else [*found[: most - 1], _REST]


def _bars(counts: Mapping[str, float], names: Sequence[str]) -> tuple[Shape, ...]:
    parts = [(name, counts.get(name, 0.0)) for name in names]
    rest = sum(count for name, count in counts.items() if name not in names)
    parts = [(name, rest if name == _REST else count) for name, count in parts]
    total, at = sum(counts.values()), 0.0
    bars = []
    for (_, count), colour in zip(parts, _COLOURS, strict=False):
        if count:
            bars.append(Bar(at, at + 100 * count / total, colour))
            at += 100 * count / total
    return tuple(bars)
