# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.bench.documents.samples import RECORDS, SKYLAKE
from tests.bench.samples import ICOUNT, record
from tests.bench.server.samples import server_record
from tests.page.wellformed import problems, text_of
from ubypass.bench.documents.kind import Kind
from ubypass.bench.documents.loops import LOOPS
from ubypass.bench.documents.read import Batch, batch
from ubypass.bench.documents.report import report
from ubypass.bench.documents.servers import SERVERS
from ubypass.errors import UbError

_NASTY = "<script>alert(1)</script>\x00"


def _batch(kind: Kind, records: Sequence[Any], name: str = "x.json") -> Batch:
    return batch(Path("/data") / name, kind, records, f'["{name}"]')


def _all() -> list[Batch]:
    return [
        _batch(kind, records, f"{n}.json")
        for n, (kind, records) in enumerate(RECORDS.items())
    ]


@pytest.fixture(scope="module")
def page() -> str:
    return report(_all(), [UbError("x.json holds no records")])


def test_it_is_whole(page: str) -> None:
    assert problems(page) == []
    assert not re.search(r"https?://", page)


def test_it_says_what_was_measured_on_what(page: str) -> None:
    text = text_of(page)
    for word in (
        *("6.1.0-56-amd64", "QEMU TCG CPU version 2.5+", "family 6, model 207"),
        *("without page-table isolation", "ub bench server redis", "2026-01-01"),
    ):
        assert word in text


def test_sentences_of_one_standard_stand_together(page: str) -> None:
    text = text_of(page)
    counted, timed = text.index("Counted: instr"), text.index("Timed on a processor")
    assert counted < text.index("redis GET 64: 1.5% fewer instructions") < timed
    assert timed < text.index("sample: saves 105 ns")


def test_what_is_not_shown_is_named(page: str) -> None:
    assert "x.json holds no records" in text_of(page)
    assert "Skipped files" not in text_of(report(_all()))


def test_records_are_in_it(page: str) -> None:
    found = re.findall(r'download="([^"]+)"|base64,([^"]+)"', page)
    names = [name for name, _ in found if name]
    texts = [base64.b64decode(text).decode() for _, text in found if text]
    assert sorted(names) == [f"{n}.json" for n in range(len(RECORDS))]
    assert texts == [f'["{name}"]' for name in names]


def test_the_same_records_make_the_same_page(page: str) -> None:
    assert report(_all(), [UbError("x.json holds no records")]) == page


def test_whatever_records_say_is_text() -> None:
    machine = replace(ICOUNT, cpu=_NASTY, kernel=_NASTY)
    text = report(
        [
            _batch(LOOPS, [record(workload=_NASTY, place=_NASTY, machine=machine)]),
            _batch(
                SERVERS,
                [
                    server_record(
                        server=_NASTY,
                        case=_NASTY,
                        command=_NASTY,
                        date=_NASTY,
                        exits={_NASTY: 1.0},
                        notes=(_NASTY,),
                    )
                ],
                _NASTY,
            ),
        ]
    )
    assert problems(text) == []
    assert "<script" not in text
    assert "\x00" not in text


def test_files_of_one_kind_are_told_apart() -> None:
    one, two = (_batch(LOOPS, [record()], name) for name in ("a.json", "b.json"))
    text = report([one, two])
    assert problems(text) == []
    assert "Loops: a" in text_of(text)
    assert "Loops: b" in text_of(text)
    same = report([one, one])
    assert 'download="1-a.json"' in same
    assert 'download="2-a.json"' in same


def test_machines_are_compared() -> None:
    given = [
        _batch(LOOPS, [record(machine=SKYLAKE)], "io-skylake.json"),
        _batch(LOOPS, [record()], "io.json"),
    ]
    text = report(given)
    assert problems(text) == []
    assert text.index("Loops, QEMU TCG CPU") < text.index("Loops, Skylake-Server with")
    assert "What isolation and mitigations change" in text_of(text)
    assert "What isolation and" not in report(given[:1])


def test_every_plot_has_its_command(page: str) -> None:
    assert page.count("<figure>") > 8
    assert page.count("<figure>") == page.count('<div class="command">')


def test_io_uring_is_compared_by_size(page: str) -> None:
    assert "Reads by size" in text_of(page)


def test_without_sentences() -> None:
    kind = replace(LOOPS, findings=lambda records: [])
    assert "There are no measurements of gains" in report([_batch(kind, [record()])])
