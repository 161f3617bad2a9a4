# SPDX-License-Identifier: GPL-2.0-only
"""What Prometheus itself says of the figures, the alerts and the dashboard."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from tests.pictures import openmetrics, panels, prometheus
from tests.places import ROOT
from tests.service.test_metrics import snapshot
from ubypass.service.figures import Snapshot
from ubypass.service.metrics import families

pytestmark = pytest.mark.skipif(
    not prometheus.found(),
    reason=f"no Prometheus: make test installs {prometheus.PACKAGE}",
)

_ALERTS = ROOT / "packaging" / "prometheus" / "ubypass.rules.yml"
_CASES = Path(__file__).with_name("alerts.test.yml")
_BEGIN, _SECONDS = 1_700_000_000.0, 600


def _promtool(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["promtool", *words], capture_output=True, text=True, timeout=120, **more
    )


class _Published(Collector):
    def __init__(self, now: Snapshot) -> None:
        self._now = now

    def collect(self) -> Iterator[Metric]:
        yield from families(self._now)


def _text(now: Snapshot) -> str:
    registry = CollectorRegistry()
    registry.register(_Published(now))
    return generate_latest(registry).decode()


def test_nothing_is_wrong_with_the_alerts() -> None:
    done = _promtool("check", "rules", "--lint=all", "--lint-fatal", str(_ALERTS))
    assert done.returncode == 0, done.stderr
    assert "7 rules found" in done.stdout


def test_each_alert_fires_when_it_should(tmp_path: Path) -> None:
    for file in _ALERTS, _CASES:
        shutil.copy(file, tmp_path)
    done = _promtool("test", "rules", str(tmp_path / _CASES.name))
    assert done.returncode == 0, done.stdout + done.stderr
    alerts = re.findall(r"alert: (\w+)", _ALERTS.read_text())
    fired = re.findall(r"alertname: (\w+)\n.*\n +exp_alerts:\n", _CASES.read_text())
    assert set(fired) == set(alerts)


def test_a_case_can_fail(tmp_path: Path) -> None:
    rules = _ALERTS.read_text().replace("ubypass_paused == 1", "ubypass_paused == 2")
    (tmp_path / _ALERTS.name).write_text(rules)
    shutil.copy(_CASES, tmp_path)
    done = _promtool("test", "rules", str(tmp_path / _CASES.name))
    assert done.returncode != 0


def test_names_and_units_are_as_prometheus_wants_them() -> None:
    done = _promtool("check", "metrics", input=_text(snapshot()))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Sequence[panels.Panel]:
    """All panels over ten minutes of figures in which nothing is empty."""
    file = tmp_path_factory.mktemp("prometheus") / "metrics.om"
    lines = []
    for seconds in range(0, _SECONDS + 1, 15):
        now = replace(snapshot(), time=_BEGIN + seconds, cpu_seconds=seconds / 100)
        lines += openmetrics.samples(_text(now), now.time)
    openmetrics.write(file, lines)
    start, end = openmetrics.span(file)
    assert (start, end) == (_BEGIN, _BEGIN + _SECONDS)
    with prometheus.serving(file) as answers:
        known = panels.variables(answers)
        assert known["rule"] == "(r0|r1)"
        with pytest.raises(prometheus.Refused, match="parse error"):
            answers.at("sum by (", start)
        return panels.answered(answers, start, end, 60)


def test_each_query_of_the_dashboard_is_answered(
    found: Sequence[panels.Panel],
) -> None:
    queries = 0
    for panel in found:
        targets = panel.description.get("targets", ())
        queries += len(targets)
        assert len(panel.series) >= len(targets), panel.title
    assert queries > 20


def test_series_have_names_and_values(found: Sequence[panels.Panel]) -> None:
    by_title = {panel.title: panel for panel in found}
    attached = by_title["Processes"].series[0]
    assert attached.name == "r0 attached"
    assert attached.values == (3.0,) * (_SECONDS // 60 + 1)
    (cpu, _) = by_title["CPU time of the daemon"].series
    assert cpu.values[-1] == pytest.approx(0.01)
    (dispatched, *_) = by_title["System calls"].series
    assert dispatched.name == "dispatched"
