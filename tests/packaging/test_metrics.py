# SPDX-License-Identifier: GPL-2.0-only
"""The dashboard and the alerts ask for metrics that there are, with their labels."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.places import ROOT
from tests.service.test_metrics import snapshot
from ubypass.service.metrics import families

_DASHBOARD = ROOT / "packaging" / "grafana" / "ubypass.json"
_ALERTS = ROOT / "packaging" / "prometheus" / "ubypass.rules.yml"
_USE = re.compile(r"(ubypass_[a-z_]+)(?:\{([^}]*)\})?(?:\[\w+\])?")
_TARGET_LABELS = {"instance"}  # which Prometheus adds


def _strings(value: Any) -> Iterator[tuple[str, str]]:
    """All texts of a dashboard, with the name of each."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for name, each in pairs:
        if isinstance(each, str):
            yield str(name), each
        elif isinstance(each, (dict, list)):
            yield from _strings(each)


def _expressions() -> list[str]:
    dashboard = json.loads(_DASHBOARD.read_text())
    found = [
        text for name, text in _strings(dashboard) if name in ("expr", "definition")
    ]
    text = _ALERTS.read_text()
    # Folded ones go on in lines that are indented further.
    found += re.findall(r"expr: (?:>-\n)?((?:.+\n)(?: {10,}.+\n)*)", text)
    return found


def metrics() -> dict[str, set[str]]:
    """Labels of each metric, by the name that Prometheus stores."""
    return {
        sample.name: set(sample.labels)
        for family in families(snapshot())
        for sample in family.samples
    }


@pytest.mark.parametrize("expression", _expressions())
def test_each_metric_exists_and_has_the_labels(expression: str) -> None:
    known = metrics()
    uses = _USE.findall(expression)
    assert uses
    allowed = set(_TARGET_LABELS)
    for name, matchers in uses:
        assert name in known
        labels = set(re.findall(r"(\w+)=", matchers))
        assert labels <= known[name] | _TARGET_LABELS
        allowed |= known[name]
    for group in re.findall(r"by \(([^)]*)\)", expression):
        assert set(re.findall(r"\w+", group)) <= allowed


def test_counters_are_used_as_rates_only() -> None:
    for expression in _expressions():
        for name, _ in _USE.findall(expression):
            if name.endswith("_total"):
                assert re.search(rf"(rate|increase)\({name}\b", expression), name


def test_legends_name_labels_that_are_there() -> None:
    known = metrics()
    targets = 0
    for panel in json.loads(_DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            targets += 1
            labels = set(_TARGET_LABELS)
            for name, _ in _USE.findall(target["expr"]):
                labels |= known[name]
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= labels
    assert targets > 15


def test_most_metrics_are_shown() -> None:
    """What nobody looks at would not have to be counted."""
    shown = {name for e in _expressions() for name, _ in _USE.findall(e)}
    rest = {
        "ubypass_start_time_seconds",
        "ubypass_config_last_reload_success_timestamp_seconds",
        "ubypass_config_reloads_total",
        "ubypass_attachments_total",
        "ubypass_filtered_system_calls_total",
        "ubypass_regions",
        "ubypass_looks_total",
        "ubypass_store_requests_total",
    }
    assert metrics().keys() - shown == rest


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    numbers = set()
    for panel in json.loads(_DASHBOARD.read_text())["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
        numbers.add(panel["id"])
    assert len(numbers) == len(json.loads(_DASHBOARD.read_text())["panels"])
