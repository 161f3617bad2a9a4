# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.server.samples import runs, server_record
from ubypass.bench.server.record import (
    Run,
    ServerRecord,
    read_server_records,
    write_server_records,
)
from ubypass.errors import UbError


def test_a_run_in_figures() -> None:
    run = Run(requests=200, cpu_ns=1_000_000, elapsed_ns=4_000_000)
    assert run.cost == 5000.0
    assert run.time == 20_000.0
    assert run.rate == 50_000.0


def test_medians_of_all_native_runs_against_the_boosted() -> None:
    record = server_record()
    assert record.native_cost == 10_000.0
    assert record.boosted_cost == 9_850.0
    assert record.ratio == pytest.approx(0.985)
    assert record.spread == pytest.approx(0.002)
    # 150 of two transitions of 200 each
    assert record.capture == pytest.approx(0.375)


def test_means_and_deviations_of_the_same_runs() -> None:
    record = server_record(before=runs(10, 20), after=runs(30), boosted=runs(7))
    assert (record.native_cost, record.native_mean) == (20.0, 20.0)
    assert record.native_deviation == pytest.approx(10.0)
    assert (record.boosted_mean, record.boosted_deviation) == (7.0, 0.0)
    data = record.as_json()
    assert (data["native_mean"], data["native_deviation"]) == (20.0, 10.0)
    assert (data["boosted_mean"], data["boosted_deviation"]) == (7.0, 0.0)


def test_a_record_from_before_versions_and_means() -> None:
    data = server_record().as_json()
    for name in ("version", "means", "native_mean", "boosted_deviation"):
        del data[name]
    assert ServerRecord.from_json(data) == server_record(version="", means=False)


def test_time_instead_of_cpu_time() -> None:
    record = server_record(by_time=True, boosted=runs(9_000))
    assert record.native_cost == 20_000.0
    assert record.boosted_cost == 18_000.0


def test_slower_is_less_than_nothing() -> None:
    assert (server_record(boosted=runs(10_200)).capture or 0.0) < 0.0
    assert server_record(calls=0.0).capture is None


def test_what_is_not_boosted_gains_nothing_by_chance() -> None:
    record = server_record(dispatched=0.004)
    assert record.capture is None
    assert record.ratio == pytest.approx(0.985)


def test_round_trip(tmp_path: Path) -> None:
    records = [
        server_record(),
        server_record(steady_s=None, notes=("why",), by_time=True, exits={}),
        server_record(version="redis 7.0.15", means=True),
    ]
    write_server_records(tmp_path / "f", records)
    assert read_server_records(tmp_path / "f") == records


def test_names_that_others_rely_on() -> None:
    data = server_record().as_json()
    for name in (
        *("server", "case", "unit", "native_cost", "boosted_cost", "ratio", "capture"),
        *("native_rate", "boosted_rate", "calls", "dispatched", "regions", "exits"),
        *("steady_s", "checked", "wrong", "before", "boosted", "after", "kernel"),
        *("command", "date", "cpu", "version", "means"),
    ):
        assert name in data


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"server": "x"}]'])
def test_reading_something_else(tmp_path: Path, text: str) -> None:
    file = tmp_path / "f"
    file.write_text(text)
    if text == "{}":
        assert read_server_records(file) == []
        return
    with pytest.raises(UbError, match="contains no records"):
        read_server_records(file)
