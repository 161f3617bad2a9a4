# SPDX-License-Identifier: GPL-2.0-only
"""The gain of boosting as a function of the cost of a transition.

Modelled, with the processors of ``cost/models.toml``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from ubypass.bench.chains.decisions import Decisions
from ubypass.cost.model import Model, models
from ubypass.page.charts import Curve, Dot, Range, Row, Shape, curves, rows
from ubypass.page.content import (
    Column,
    Inline,
    Paragraph,
    Plot,
    Section,
    Standard,
    Table,
)
from ubypass.page.svg import Colour

__all__ = ["gain", "saved_per_call", "savings", "section"]

#: ns from one transition to the next: the work of the call and the gap.
_BETWEEN = (100.0, 300.0, 1_000.0, 3_000.0, 10_000.0)

#: ns of a transition: first, last, and the distance of points.
_FROM, _TO, _STEP = 0.0, 400.0, 10.0

_GENERIC = "generic"
_COLOURS = (Colour.C4, Colour.C2, Colour.C5, Colour.C3, Colour.C6, Colour.C7)
#: The page draws it from the cost table, whatever was measured.
_COMMAND = "ub bench report DIR"
_AXIS = "cost of a transition, ns"


def section() -> Section:
    """The section; the same for all records."""
    caption = (
        "CPU time saved by a program that stays in its translation, by the cost of a "
        "transition: one curve for each time between two transitions. Lines: "
        "processors of the cost table, with their ranges."
    )
    dispatch = _model(_GENERIC).dispatch.ns.likely
    return Section(
        "Gain by the cost of a transition",
        (
            Paragraph(
                (
                    "Boosting replaces transitions by dispatches, and saves little "
                    "else. The gain grows with the cost of a transition on a "
                    "processor with its mitigations, and falls with the time between "
                    "transitions; without a clear difference to the cost of a "
                    f"dispatch (here {dispatch:g} ns) there is no gain.",
                )
            ),
            Plot(partial(_gains, caption), (caption,), Standard.MODELLED, _COMMAND),
            Table(
                "Processors",
                (
                    Column("model", False),
                    Column("processor", False),
                    *map(Column, ("transition ns", "low", "high", "dispatch ns")),
                    Column("transition is", False),
                ),
                tuple(map(_line, models().values())),
            ),
        ),
        Standard.MODELLED.value,
    )


def gain(transition: float, dispatch: float, between: float) -> float:
    """Share of CPU time saved if every call is dispatched; all times are ns."""
    return (transition - dispatch) / (transition + between)


def saved_per_call(decisions: Decisions, transition: float) -> float:
    """Mean ns saved per call of a chain, for a transition of ``transition`` ns.

    Uses the model of ``decisions`` with that transition; gaps that lose stay native.
    """
    more = transition - _model(decisions.model).transition.ns.likely
    calls = sum(gap.count for gap in decisions.gaps)
    saved = sum(
        gap.count * max(gap.predicted.likely + more, 0.0) for gap in decisions.gaps
    )
    return saved / calls


def savings(key: str, title: str, chains: Mapping[str, Decisions]) -> str:
    """A plot of :func:`saved_per_call` for chains by name, as an SVG element."""
    processors = list(zip(_processors(), _COLOURS, strict=False))
    content = []
    for name, decisions in chains.items():
        saved = [
            saved_per_call(decisions, model.transition.ns.likely)
            for model, _ in processors
        ]
        dots = [
            Dot(at, colour) for at, (_, colour) in zip(saved, processors, strict=True)
        ]
        line = Range(min(saved), max(saved), Colour.RULE)
        note = f"{min(saved):,.0f} to {max(saved):,.0f} ns"
        content.append(Row(name, note, (line, *dots)))
    legend: list[tuple[str, type[Shape], Colour]] = [
        (model.name, Dot, colour) for model, colour in processors
    ]
    return rows(key, title, content, "ns saved per call", legend, reference=0.0)


def _gains(title: str, key: str) -> str:
    dispatch = _model(_GENERIC).dispatch.ns.likely
    content = [
        Curve(
            _duration(between),
            tuple((at, 100 * gain(at, dispatch, between)) for at in _axis()),
        )
        for between in _BETWEEN
    ]
    return curves(key, title, content, _marks(), (_AXIS, "% of CPU time saved"))


def _axis() -> list[float]:
    """Starts at a saving of 0: gaps that lose stay native."""
    dispatch = _model(_GENERIC).dispatch.ns.likely
    steps = int((_TO - _FROM) / _STEP)
    points = [_FROM + _STEP * n for n in range(steps + 1)]
    return [dispatch, *(at for at in points if at > dispatch)]


def _marks() -> list[Row]:
    found = []
    for model in _processors():
        ns = model.transition.ns
        found.append(
            Row(
                model.name,
                f"{ns.likely:g} ns ({ns.low:g} to {ns.high:g})",
                (
                    Range(ns.low, ns.high, Colour.C1),
                    Dot(ns.likely, Colour.C1),
                ),
            )
        )
    return found


def _processors() -> list[Model]:
    return [model for model in models().values() if model.name != _GENERIC]


def _line(model: Model) -> tuple[Inline, ...]:
    ns = model.transition.ns
    return (
        model.name,
        model.processor,
        f"{ns.likely:g}",
        f"{ns.low:g}",
        f"{ns.high:g}",
        f"{model.dispatch.ns.likely:g}",
        model.transition.status,
    )


def _duration(ns: float) -> str:
    return f"{ns:g} ns" if ns < 1000 else f"{ns / 1000:g} µs"


def _model(name: str) -> Model:
    return models()[name]
