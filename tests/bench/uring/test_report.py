# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import dataclasses
import io

from rich.console import Console

from tests.bench.samples import ICOUNT
from tests.bench.uring.samples import comparison, row
from ubypass.bench.uring.record import FIO, REGISTERED, Row
from ubypass.bench.uring.report import show


def shown(*rows: Row) -> str:
    out = io.StringIO()
    show(rows, Console(file=out))
    return out.getvalue()


def test_fits_a_terminal_and_says_what_it_shows() -> None:
    rows = [
        *comparison(),
        row(REGISTERED, 64, 1024, 1234.0),
        *comparison(place="cached"),
        *comparison(program=FIO),
    ]
    text = shown(*rows)
    assert max(map(len, text.splitlines())) <= 80
    words = " ".join(text.split())
    for word in (
        *("Instructions for one read, in memory", "for one read, on a disk, cached"),
        *("for one read by fio", "boosted, 50%", "registered, 10%", "1,234", "1,024"),
        *("not a measurement", "6.1.0-56-amd64", "ahead: the best"),
        "all instructions of the machine",
    ):
        assert word in words, text


def test_time_is_not_called_counted() -> None:
    text = shown(*comparison(machine=dataclasses.replace(ICOUNT, unit="ns")))
    assert "Nanoseconds" in text
    assert "Counted" not in text


def test_other_data_stands_out() -> None:
    rows = [dataclasses.replace(each, same_results=False) for each in comparison()]
    assert "READ OTHER DATA" in shown(*rows)


def test_nothing_measured() -> None:
    assert "Nothing" in shown()
