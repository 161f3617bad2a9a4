# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

from tests.bench.documents.samples import RECORDS, SKYLAKE
from tests.bench.packets.samples import table_of_records
from tests.bench.samples import record
from tests.bench.server.samples import runs, server_record
from tests.bench.uring.samples import comparison
from ubypass.bench.documents.loops import LOOPS
from ubypass.bench.documents.packets import PACKETS
from ubypass.bench.documents.read import Batch, batch
from ubypass.bench.documents.rivals import RIVALS
from ubypass.bench.documents.servers import SERVERS
from ubypass.bench.records import Record
from ubypass.bench.results import results
from ubypass.bench.server.record import ServerRecord
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


def test_sections_are_in_the_order_of_files() -> None:
    given = [servers(server_record()), loops(record())]
    text = results(given)
    assert text.index("## redis") < text.index("## Loops")
    assert results(given) == text


def test_io_uring_beside_it() -> None:
    uring = batch(Path("uring.json"), RIVALS, comparison(), "[]")
    text = results([loops(record()), uring])
    assert text.index("## Loops") < text.index("## io_uring")
    assert "registered, 10%" in text


def test_packets() -> None:
    packets = batch(Path("packets.json"), PACKETS, table_of_records(), "[]")
    assert "| raw socket, boosted |" in results([packets])


def test_machines_have_headings_of_their_own_and_are_compared() -> None:
    given = [loops(record(machine=SKYLAKE)), servers(server_record()), loops(record())]
    text = results(given)
    heads = [line for line in text.splitlines() if line.startswith("## ")]
    assert heads == [
        "## Loops, QEMU TCG CPU without page-table isolation",
        "## Loops, Skylake-Server with page-table isolation",
        "## redis",
        "## What isolation and mitigations change",
    ]


def test_what_is_not_in_it_is_named() -> None:
    text = results([loops(record())], [UbError("x.json is not JSON (empty)")])
    (line,) = [line for line in text.splitlines() if "Not measured" in line]
    assert "`ub bench packets`" in line
    assert "`ub bench io`," not in line
    assert "Left out: x.json is not JSON (empty)." in text.splitlines()
    everything = [batch(Path("x"), kind, RECORDS[kind], "") for kind in RECORDS]
    assert "Not measured" not in results(everything)
    assert "Left out" not in results(everything)
