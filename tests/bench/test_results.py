# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.samples import record
from tests.bench.server.samples import runs, server_record
from ubypass.bench.records import write_records
from ubypass.bench.results import goals, results, write_results
from ubypass.bench.server.record import ServerRecord, write_server_records
from ubypass.errors import UbError


def missed(one: ServerRecord) -> list[str]:
    return [goal.what for goal in goals(one) if not goal.met]


def test_goals_of_every_server() -> None:
    assert missed(server_record()) == []
    assert missed(server_record(wrong=1)) == ["wrong replies"]
    assert missed(server_record(steady_s=5.5)) == ["seconds until steady"]
    assert missed(server_record(steady_s=None)) == ["seconds until steady"]
    assert missed(server_record(engine_share=0.02)) == ["engine's share of a CPU"]


@pytest.mark.parametrize(
    ("server", "case", "most"),
    [
        ("redis", "GET 1024", 1.005),
        ("nginx", "16 KiB, log, 2 workers", 1.005),
    ],
)
def test_cost_that_is_allowed(server: str, case: str, most: float) -> None:
    def at(cost: int) -> list[str]:
        good = {"server": server, "case": case, "dispatched": 0.7}
        return missed(server_record(**good, boosted=runs(cost)))

    assert at(round(10_000 * most) - 10) == []
    assert "cost, boosted / native" in at(round(10_000 * most) + 10)


def test_where_a_model_decides_the_time_that_it_tells_counts() -> None:
    slower = {"priced_by": "zen4", "boosted": runs(11_000)}
    assert missed(server_record(**slower, saved_ns=90.0)) == []
    assert missed(server_record(**slower, saved_ns=-5.0)) == ["ns saved per request"]
    text = results([[server_record(**slower, saved_ns=90.0)]])
    assert "Decided by the model zen4." in text
    assert "| 90 |" in text


def test_goals_of_nginx_and_of_raw_sockets() -> None:
    nginx = server_record(server="nginx", case="4 KiB", dispatched=0.55)
    assert missed(nginx) == ["bypassed"]
    assert missed(server_record(dispatched=0.4)) == ["bypassed"]
    raw = {"server": "rawsocket", "case": "64 bytes, sum"}
    assert missed(server_record(**raw, dispatched=0.98)) == ["bypassed", "gained"]
    assert missed(server_record(**raw, dispatched=0.995, boosted=runs(9_700))) == []


def test_the_document_says_what_was_measured_how() -> None:
    text = results([[record(place="cold"), record(place="cached")], [server_record()]])
    for word in (
        *("pread 64, cold", "pread 64, cached", "`ub bench io --disk`", "1,400"),
        *("`ub bench server redis`", "2026-01-01", "6.1.0-56-amd64", "| GET 64 | "),
        *("0.9850", "frontier 0.500", "100 right"),
    ):
        assert word in text, text
    assert "missed" not in text


def test_the_document_says_what_was_missed_and_why() -> None:
    slow = server_record(boosted=runs(10_100), notes=("gaps are too long",), wrong=3)
    text = results([[slow]])
    assert "gaps are too long" in text
    assert "- GET 64: cost, boosted / native 1.01, wanted at most 1.005" in text
    assert "**3 wrong**" in text


def test_every_row_has_all_columns() -> None:
    for line in results([[record()], [server_record()]]).splitlines():
        if line.startswith("|"):
            assert line.count("|") in (9, 16)


def test_from_files_to_a_file(tmp_path: Path) -> None:
    write_records(tmp_path / "io", [record()])
    write_server_records(tmp_path / "redis", [server_record()])
    out = tmp_path / "docs" / "results.md"
    write_results([tmp_path / "redis", tmp_path / "io"], out)
    text = out.read_text()
    assert text.index("## redis") < text.index("## Loops")
    write_results([tmp_path / "redis", tmp_path / "io"], tmp_path / "again")
    assert (tmp_path / "again").read_text() == text


@pytest.mark.parametrize("content", ["", "{", "[1]", '[{"server": 1}]', "3"])
def test_a_file_that_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "f").write_text(content)
    with pytest.raises(UbError, match="holds no"):
        write_results([tmp_path / "f"], tmp_path / "out")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UbError, match="cannot read"):
        write_results([tmp_path / "none"], tmp_path / "out")
