# SPDX-License-Identifier: GPL-2.0-only
"""The panels of ``packaging/grafana/ubypass.json``, and what Prometheus answers them.

Variables are put in as Grafana puts in a choice of all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.pictures.prometheus import Answers
from tests.places import ROOT

__all__ = ["DASHBOARD", "Panel", "Series", "answered", "dashboard", "variables"]

DASHBOARD = ROOT / "packaging" / "grafana" / "ubypass.json"
_VALUES_OF = re.compile(r"label_values\((\w+), (\w+)\)")


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a plot, or one number: times and values, and its name."""

    name: str
    times: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel as the dashboard has it, with all its series."""

    description: Mapping[str, Any]
    series: tuple[Series, ...]

    @property
    def title(self) -> str:
        """What stands above it."""
        return str(self.description["title"])


def dashboard() -> dict[str, Any]:
    """The dashboard."""
    found: dict[str, Any] = json.loads(DASHBOARD.read_text("utf-8"))
    return found


def variables(answers: Answers) -> dict[str, str]:
    """By name: an expression for all values that the figures have."""
    found = {}
    for each in dashboard()["templating"]["list"]:
        if each["type"] == "query":
            (asked,) = _VALUES_OF.findall(each["definition"])
            values = map(re.escape, answers.label_values(*asked))
            # A backslash stands in a text of PromQL.
            found[each["name"]] = f"({'|'.join(values)})".replace("\\", "\\\\")
    return found


def answered(answers: Answers, start: float, end: float, step: float) -> list[Panel]:
    """All panels, with what Prometheus answers for that time.

    Raises Refused (`tests.pictures.prometheus`) if it does not accept a query.
    """
    known = variables(answers)
    return [
        Panel(panel, tuple(_series(answers, panel, known, start, end, step)))
        for panel in dashboard()["panels"]
    ]


def _series(
    answers: Answers,
    panel: Mapping[str, Any],
    known: Mapping[str, str],
    start: float,
    end: float,
    step: float,
) -> Iterator[Series]:
    for target in panel.get("targets", ()):
        expression = _filled(target["expr"], known)
        for found in answers.between(expression, start, end, step):
            yield Series(
                _legend(target["legendFormat"], found["metric"]),
                *_columns(found["values"]),
            )


def _filled(expression: str, known: Mapping[str, str]) -> str:
    return re.sub(r"\$(\w+)", lambda name: known[name[1]], expression)


def _legend(form: str, labels: Mapping[str, str]) -> str:
    return re.sub(r"{{(\w+)}}", lambda name: labels.get(name[1], ""), form)


def _columns(
    values: Sequence[tuple[float, str]],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return tuple(time for time, _ in values), tuple(float(value) for _, value in values)
