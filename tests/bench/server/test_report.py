# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import io

from rich.console import Console

from tests.bench.server.samples import runs, server_record
from ubypass.bench.server.record import ServerRecord
from ubypass.bench.server.report import show


def shown(*records: ServerRecord) -> str:
    out = io.StringIO()
    show(records, Console(file=out))
    return out.getvalue()


def test_fits_a_terminal_and_says_what_it_shows() -> None:
    text = shown(
        server_record(),
        server_record(
            case="SET 16384, pipeline 16",
            before=runs(223_456),
            after=(),
            boosted=runs(211_111),
        ),
    )
    assert max(map(len, text.splitlines())) <= 80
    for word in (
        *("redis", "GET 64", "SET 16384, pipeline 16", "10,000", "9,850", "0.9850"),
        *("50.0%", "38%", "2.5 s", "223,456", "instructions", "6.1.0-56-amd64"),
        *("native", "boosted", "bypassed", "gained", "steady"),
    ):
        assert word in text, text
    assert "All 200 replies" in text
    assert "WRONG" not in text


def test_a_wrong_reply_stands_out() -> None:
    assert "WRONG" in shown(server_record(wrong=1))


def test_what_was_not_reached() -> None:
    text = shown(server_record(steady_s=None, calls=0.0))
    assert "2.5 s" not in text
    assert "38%" not in text


def test_rates_are_not_rounded_up() -> None:
    assert "99.9%" in shown(server_record(dispatched=0.99999))


def test_nothing_measured() -> None:
    assert "Nothing" in shown()
