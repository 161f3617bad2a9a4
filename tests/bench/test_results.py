# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.packets.samples import table_of_records
from tests.bench.samples import record
from tests.bench.server.samples import runs, server_record
from tests.bench.uring.samples import comparison
from ubypass.bench.documents.loops import LOOPS
from ubypass.bench.documents.read import Batch, batch
from ubypass.bench.documents.servers import SERVERS
from ubypass.bench.packets.record import write_packet_records
from ubypass.bench.records import Record, write_records
from ubypass.bench.results import results, write_results
from ubypass.bench.server.record import ServerRecord, write_server_records
from ubypass.bench.uring.record import write_rows
from ubypass.errors import UbError


def loops(*records: Record) -> Batch:
    return batch(Path("io.json"), LOOPS, records, "[]")


def servers(*records: ServerRecord) -> Batch:
    return batch(Path("redis.json"), SERVERS, records, "[]")


def test_the_document_says_what_was_measured_how() -> None:
    text = results(
        [loops(record(place="cold"), record(place="cached")), servers(server_record())]
    )
    for word in (
        *("pread 64, cold", "pread 64, cached", "`ub bench io --disk`", "1,400"),
        *("`ub bench server redis`", "2026-01-01", "6.1.0-56-amd64", "| GET 64 | "),
        *("0.9850", "frontier 0.500", "100 right"),
    ):
        assert word in text, text
    assert "missed" not in text


def test_each_section_begins_with_its_sentences() -> None:
    text = results([loops(record()), servers(server_record())])
    for sentence in (
        "- pread 64: 10.7% fewer instructions per call (1,400 → 1,250); ",
        "- redis GET 64: 1.5% fewer instructions for each request (10,000 → 9,850, ",
    ):
        assert text.index(sentence) > 0
    assert text.index("- redis GET 64:") < text.index("| case |")


def test_where_a_model_decides_it_is_named() -> None:
    slower = server_record(priced_by="zen4", boosted=runs(11_000), saved_ns=90.0)
    text = results([servers(slower)])
    assert "Decided by the model zen4." in text
    assert "| 90 |" in text
    assert "computed by the model zen4: +90 ns saved" in text


def test_the_document_says_what_was_missed_and_why() -> None:
    slow = server_record(boosted=runs(10_100), notes=("gaps are too long",), wrong=3)
    text = results([servers(slow)])
    assert "gaps are too long" in text
    assert "- GET 64: cost, boosted / native 1.01, wanted at most 1.005" in text
    assert "**3 of 100 wrong**" in text


def test_every_row_has_all_columns() -> None:
    for line in results([loops(record()), servers(server_record())]).splitlines():
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


def test_io_uring_beside_it(tmp_path: Path) -> None:
    write_records(tmp_path / "io", [record()])
    write_rows(tmp_path / "uring", comparison())
    write_results([tmp_path / "io", tmp_path / "uring"], tmp_path / "out")
    text = (tmp_path / "out").read_text()
    assert text.index("## Loops") < text.index("## io_uring")
    assert "registered, 10%" in text


def test_packets(tmp_path: Path) -> None:
    write_packet_records(tmp_path / "packets", table_of_records())
    write_results([tmp_path / "packets"], tmp_path / "out")
    assert "| raw socket, boosted |" in (tmp_path / "out").read_text()


@pytest.mark.parametrize(
    "content", ["", "{", "[1]", '[{"server": 1}]', "3", '[{"way": 1}]']
)
def test_a_file_that_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "f").write_text(content)
    with pytest.raises(UbError, match=r"is not JSON|contains no records"):
        write_results([tmp_path / "f"], tmp_path / "out")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UbError, match="cannot read"):
        write_results([tmp_path / "none"], tmp_path / "out")
