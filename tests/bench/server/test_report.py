# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import io

from rich.console import Console

from tests.bench.server.samples import beside, runs, server_record
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
    assert "All 200 compared replies" in text
    assert "WRONG" not in text


def test_means_beside_medians() -> None:
    long = server_record(
        means=True,
        case="256 KiB, as paper",
        before=runs(220_000, 224_000),
        after=(),
        boosted=runs(211_111, 212_345),
        version="nginx 1.22.1",
    )
    text = shown(long, server_record(means=True))
    assert max(map(len, text.splitlines())) <= 80
    for word in ("222,000 ± 2,828", "10,000 ± 8", "9,850 ± 50", "standard deviation"):
        assert word in " ".join(text.split()), text
    assert "nginx 1.22.1; " in text
    assert "gained" not in text
    assert "±" not in shown(server_record())


def test_a_wrong_reply_stands_out() -> None:
    assert "WRONG" in shown(server_record(wrong=1))


def test_what_was_not_reached() -> None:
    text = shown(server_record(steady_s=None, calls=0.0))
    assert "2.5 s" not in text
    assert "38%" not in text


def test_rates_are_not_rounded_up() -> None:
    assert "99.9%" in shown(server_record(dispatched=0.99999))


def test_a_server_that_stayed_native_comes_with_the_reason() -> None:
    text = shown(server_record(dispatched=0.0, notes=("its gap is too long",)))
    assert "GET 64 stayed native: its gap is too long" in " ".join(text.split())
    assert "stayed native" not in shown(server_record())
    assert "no call was sampled" in shown(server_record(dispatched=0.0, notes=()))


def test_nothing_measured() -> None:
    assert "Nothing" in shown()


def test_a_rival_beside_it() -> None:
    out = io.StringIO()
    rivals = (
        *(beside(case=case, runs=(), not_run="no F-Stack: x") for case in ("a", "b")),
        beside(case="c", wrong=2, note="a virtual device"),
    )
    show([server_record()], Console(file=out), rivals)
    text = out.getvalue()
    assert "a, F-Stack" in text
    assert text.count("not run\n") + text.count("not run ") == 2
    assert text.count("redis on F-Stack: not run: no F-Stack: x") == 1
    assert "redis c, F-Stack: 25,000 requests/s natively" in text
    words = " ".join(text.split())
    assert "2 of 100 replies WRONG; a virtual device" in words
