# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import datetime
import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench.samples import ICOUNT, record
from ubypass.bench.records import Record, read_records, today, write_records
from ubypass.errors import UbError

_NAMES = (
    *("workload", "size", "sum", "unit", "native", "boosted", "limit"),
    *("dispatch_cost", "capture", "bypass_rate", "first_boost_s"),
    *("kernel", "cpu", "page_table_isolation", "accelerator"),
)


def test_figures_of_merit() -> None:
    one = record(native=300.0, boosted=150.0, handler=90.0, gap=10.0)
    assert one.limit == 100.0
    assert one.dispatch_cost == 50.0
    assert one.capture == pytest.approx(0.75)


def test_a_slower_loop_captures_less_than_nothing() -> None:
    one = record(native=300.0, boosted=400.0, handler=90.0, gap=10.0)
    assert one.capture == pytest.approx(-0.5)


def test_no_capture_without_a_gain_to_capture() -> None:
    assert record(native=100.0, handler=90.0, gap=10.0).capture is None


def test_names_that_others_rely_on() -> None:
    data = record().as_json()
    for name in _NAMES:
        assert name in data
    assert data["unit"] == "instructions"
    assert data["limit"] == 1200.0


def test_round_trip(tmp_path: Path) -> None:
    records = [record(), record(size=0, workload="getppid", first_boost_s=None)]
    records.append(record(deviations=(1.5, 0.25)))
    file = tmp_path / "new" / "records.json"
    write_records(file, records)
    assert [each["record_version"] for each in json.loads(file.read_text())] == [
        1,
        1,
        1,
    ]
    assert read_records(file) == records
    assert [p.name for p in file.parent.iterdir()] == ["records.json"]


def test_command_and_date_survive_and_may_be_missing(tmp_path: Path) -> None:
    made = record(command="ub bench io --quick", date=today())
    write_records(tmp_path / "f", [made])
    assert read_records(tmp_path / "f") == [made]
    data = json.loads((tmp_path / "f").read_text())
    del data[0]["command"], data[0]["date"]
    (tmp_path / "f").write_text(json.dumps(data))
    assert read_records(tmp_path / "f") == [replace(made, command="", date="")]


def test_a_file_without_versions_is_read(tmp_path: Path) -> None:
    (tmp_path / "f").write_text(json.dumps([record().as_json()]))
    assert read_records(tmp_path / "f") == [record()]


def test_records_of_a_later_version_are_refused(tmp_path: Path) -> None:
    later = {**record().as_json(), "record_version": 2}
    (tmp_path / "f").write_text(json.dumps([later]))
    with pytest.raises(UbError, match="records of version 2, not 1"):
        read_records(tmp_path / "f")


def test_today_is_a_date() -> None:
    assert datetime.date.fromisoformat(today()) <= datetime.date.today()


def test_the_profile_survives(tmp_path: Path) -> None:
    machine = replace(ICOUNT, erms=False, mitigations=("mds: Clear CPU buffers",))
    write_records(tmp_path / "f", [record(machine=machine)])
    assert read_records(tmp_path / "f")[0].machine == machine


def test_a_record_of_before_is_read() -> None:
    data = record().as_json()
    del data["erms"], data["mitigations"]
    old = Record.from_json(data)
    assert old.machine == ICOUNT
    assert "ERMS" not in old.machine.where


def test_what_copies_count_is_said() -> None:
    assert "no ERMS" in replace(ICOUNT, erms=False).where
    assert "each byte of a copy" in replace(ICOUNT, erms=True).where
    # A clock counts no bytes.
    assert "copy" not in replace(ICOUNT, unit="ns", erms=True).where


@pytest.mark.parametrize("text", ["", "{}x", '{"a": 1}', "[1]", '[{"workload": "x"}]'])
def test_reading_something_else(tmp_path: Path, text: str) -> None:
    file = tmp_path / "f"
    file.write_text(text)
    with pytest.raises(UbError, match="contains no records"):
        read_records(file)


def test_reading_and_writing_nowhere(tmp_path: Path) -> None:
    with pytest.raises(UbError, match="cannot read"):
        read_records(tmp_path / "none")
    (tmp_path / "file").write_text("")
    with pytest.raises(UbError, match="cannot write"):
        write_records(tmp_path / "file" / "below", [record()])
