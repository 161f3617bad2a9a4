# SPDX-License-Identifier: GPL-2.0-only
"""What Prometheus reads, checked with its own parser."""

from __future__ import annotations

import inspect
import os
import re
import socket
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_fd_to_metric_families

from ubypass.errors import UbError
from ubypass.service import supervisor
from ubypass.service.config import Metrics
from ubypass.service.figures import (
    DETACHMENT_REASONS,
    RuleFigures,
    Snapshot,
    Totals,
)
from ubypass.service.metrics import Exporter, families
from ubypass.store.figures import Figures


def snapshot(rules: int = 2, paused: str = "", error: str = "") -> Snapshot:
    """Figures in which nothing is empty."""
    totals = Totals(
        native=10,
        dispatched=90,
        runs=30,
        filtered=1,
        loads=2,
        build_seconds=0.25,
        saved_ns=2e9,
        exits=Counter({"budget": 4}),
        declines=Counter({"seccomp": 3}),
    )
    return Snapshot(
        time=2000.0,
        started=1000.0,
        paused=paused,
        rules=tuple(
            RuleFigures(
                name=f"r{number}",
                processes=3,
                boosted=1,
                declined={"seccomp": 1},
                regions=2,
                code_bytes=4096,
                attached=7,
                ended={"ended": 4},
                totals=totals,
            )
            for number in range(rules)
        ),
        totals=totals,
        waiting=5,
        refused={"r0": 6},
        reloads={"success": 1, "failure": 2},
        reloaded=1500.0,
        reload_error=error,
        cpu_seconds=1.5,
        memory_bytes=50 << 20,
        throttled_seconds=0.5,
        looks=8,
        store=Figures(hits=9, misses=3, refused=1, requests=12).as_json(),
    )


def _samples(path: Path) -> dict[tuple[str, frozenset[str]], float]:
    with path.open() as file:
        return {
            (sample.name, frozenset(sample.labels.values())): sample.value
            for family in text_fd_to_metric_families(file)
            for sample in family.samples
        }


def _of(*labels: str) -> frozenset[str]:
    """Values of labels; which is which the names tell."""
    return frozenset(labels)


@pytest.fixture
def exporter(tmp_path: Path) -> Iterator[Exporter]:
    exporter = Exporter(Metrics(tmp_path / "ub.prom", ("127.0.0.1", 0)))
    yield exporter
    exporter.close()


def test_the_file_answers_the_questions(exporter: Exporter, tmp_path: Path) -> None:
    exporter.publish(snapshot())
    found = _samples(tmp_path / "ub.prom")
    # Is it on?
    assert found["ubypass_up", _of()] == 1
    assert found["ubypass_paused", _of()] == 0
    assert found["ubypass_processes", _of("r0")] == 3
    assert found["ubypass_boosted_processes", _of("r1")] == 1
    # Is it helping?
    assert found["ubypass_system_calls_total", _of("r0", "dispatched")] == 90
    assert found["ubypass_system_calls_total", _of("r0", "native")] == 10
    assert found["ubypass_saved_seconds", _of("r0")] == 2
    # Does it cost?
    assert found["ubypass_cpu_seconds_total", _of()] == 1.5
    assert found["ubypass_code_bytes", _of("r0")] == 4096
    # Why did it stop?
    assert found["ubypass_declined_processes", _of("seccomp")] == 2
    assert found["ubypass_detachments_total", _of("r0", "ended")] == 4
    assert found["ubypass_exits_total", _of("budget")] == 4
    assert found["ubypass_refused_attachments_total", _of("r0")] == 6
    assert found["ubypass_waiting_processes", _of()] == 5


def test_what_has_not_happened_yet_is_a_zero(
    exporter: Exporter, tmp_path: Path
) -> None:
    """Else the first time shows no increase to Prometheus."""
    exporter.publish(snapshot())
    found = _samples(tmp_path / "ub.prom")
    source = inspect.getsource(supervisor)
    reasons = set(re.findall(r'_(?:detach|let_go|leave|settle)\(.*?"(\w+)"', source))
    assert reasons == set(DETACHMENT_REASONS)
    for reason in reasons - {"ended"}:
        assert found["ubypass_detachments_total", _of("r0", reason)] == 0
    assert found["ubypass_refused_attachments_total", _of("r1")] == 0


def test_states_are_numbers(exporter: Exporter, tmp_path: Path) -> None:
    exporter.publish(snapshot(paused="operator", error="line 3"))
    found = _samples(tmp_path / "ub.prom")
    assert found["ubypass_paused", _of()] == 1
    assert found["ubypass_config_last_reload_successful", _of()] == 0
    exporter.close()
    assert _samples(tmp_path / "ub.prom")["ubypass_up", _of()] == 0


def test_names_are_as_prometheus_wants_them() -> None:
    units = ("seconds", "bytes", "info", "processes", "successful")
    for family in families(snapshot()):
        assert re.fullmatch(r"ubypass_[a-z_]+", family.name)
        assert family.documentation.endswith(".")
        # The library writes _total behind counters: here it must not stand twice.
        assert not family.name.endswith(("_total", "_count", "_sum"))
        assert not re.search(r"_(ms|ns|us|kb|mib|percent)\b", family.name)
        if family.type == "gauge":
            words = family.name.split("_")
            assert words[-1] in units or len(words) == 2, family.name


def test_series_are_by_rule_and_never_by_process() -> None:
    def count(rules: int) -> int:
        return sum(len(family.samples) for family in families(snapshot(rules)))

    # So many for each rule, and nothing that grows faster.
    assert count(200) - count(100) == 100 * (count(2) - count(1))
    assert count(2) - count(1) <= 20
    labels = {
        label
        for family in families(snapshot())
        for sample in family.samples
        for label in sample.labels
    }
    assert labels == {"rule", "reason", "result", "path", "version"}


def test_the_file_is_whole_at_any_time(exporter: Exporter, tmp_path: Path) -> None:
    """Replaced by another one, never written into."""
    exporter.publish(snapshot())
    file = tmp_path / "ub.prom"
    with file.open() as old:
        before = file.stat().st_ino
        exporter.publish(snapshot(rules=50))
        assert file.stat().st_ino != before
        assert "r49" not in old.read()
    assert os.listdir(tmp_path) == ["ub.prom"]


def test_it_is_served(exporter: Exporter) -> None:
    def get() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{exporter.port}/metrics") as r:
            text: str = r.read().decode()
            return text

    assert "ubypass" not in get()
    exporter.publish(snapshot())
    assert 'ubypass_processes{rule="r0"} 3.0' in get()
    # Nobody else's figures, Python's for instance.
    assert {line.split("_")[0] for line in get().splitlines() if line[0] != "#"} == {
        "ubypass"
    }


def test_who_says_nothing_holds_nobody_up(exporter: Exporter) -> None:
    with socket.create_connection(("127.0.0.1", exporter.port)) as client:
        client.sendall(b"GET")
        exporter.publish(snapshot())
        url = f"http://127.0.0.1:{exporter.port}/metrics"
        with urllib.request.urlopen(url) as response:
            assert response.status == 200
        exporter.close()


def test_places_may_change(exporter: Exporter, tmp_path: Path) -> None:
    exporter.publish(snapshot())
    port = exporter.port
    exporter.change(Metrics(tmp_path / "new.prom", None))
    assert not (tmp_path / "ub.prom").exists()
    assert exporter.port == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    exporter.publish(snapshot())
    assert (tmp_path / "new.prom").exists()


def test_what_fails_is_told_of(exporter: Exporter, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()
        with pytest.raises(UbError, match="Address already in use"):
            exporter.change(Metrics(tmp_path / "ub.prom", taken))
    assert exporter.port  # the old one goes on
    exporter.change(Metrics(tmp_path / "missing" / "ub.prom"))
    with pytest.raises(UbError, match="cannot write"):
        exporter.publish(snapshot())
    (tmp_path / "missing").mkdir()
    exporter.publish(snapshot())


def test_the_store_has_series_only_if_there_is_one() -> None:
    now = snapshot()
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in families(now)
        for sample in family.samples
    }
    assert found["ubypass_store_translations_total", "hits"] == 9
    assert found["ubypass_store_translations_total", "refused"] == 1
    assert found["ubypass_store_requests_total", "requests"] == 12
    without = families(replace(now, store=None))
    assert not [family for family in without if "store" in family.name]
