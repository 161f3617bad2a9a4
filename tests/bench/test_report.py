# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import dataclasses
import io

from rich.console import Console

from tests.bench.samples import ICOUNT, record
from ubypass.bench.records import Record
from ubypass.bench.report import in_words, show


def shown(*records: Record) -> str:
    out = io.StringIO()
    show(records, Console(file=out))
    return out.getvalue()


def test_fits_a_terminal_and_says_what_it_shows() -> None:
    text = shown(
        record(),
        record(size=4096, native=12_345.0, boosted=11_111.0, handler=11_000.0),
        record(size=0, workload="getppid"),
    )
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert "instructions" in lines[0]
    for word in ("pread 64", "pread 4096", "getppid", "1,400", "1,250", "1,200"):
        assert word in text
    assert "75%" in text  # (1400 - 1250) / (1400 - 1200)
    assert "6.1.0-56-amd64" in text
    assert "DIFFERS" not in text


def test_a_difference_stands_out() -> None:
    assert "DIFFERS" in shown(record(), record(same_results=False))


def test_rates_are_not_rounded_up() -> None:
    assert "99.9%" in shown(record(bypass_rate=0.99999))
    assert "100.0%" in shown(record(bypass_rate=1.0))


def test_a_loop_that_was_not_boosted_says_why() -> None:
    text = shown(record(), record(size=256, bypass_rate=0.0, why_not=("no luck",)))
    assert "pread 256: not boosted, only 0.0% of its calls" in text
    assert "no luck" in text
    assert "pread 64: not boosted" not in text
    assert "has not examined it" in " ".join(shown(record(bypass_rate=0.5)).split())


def test_nothing_measured() -> None:
    assert "Nothing" in shown()


def test_the_sentence_tells_gain_and_loss_apart() -> None:
    assert "11% fewer" in in_words([record(native=1400.0, boosted=1250.0)])
    assert "10% MORE" in in_words([record(native=1000.0, boosted=1100.0)])


def test_the_sentence_knows_the_unit() -> None:
    machine = dataclasses.replace(ICOUNT, unit="ns")
    assert "nanoseconds" in in_words([record(machine=machine)])


def test_the_sentence_is_about_a_small_read() -> None:
    records = [
        record(size=0, workload="getppid"),
        record(size=4096),
        record(size=64, sum=True),
        record(size=1),
    ]
    assert "reads 1 bytes" in in_words(records)
    assert "calls getppid" in in_words(records[:1])


def test_means_come_with_their_deviations() -> None:
    means = {"deviations": (3.21, 0.04)}
    long = record(size=4096, sum=True, native=7500.4, deviations=(286.6, 9.94))
    text = shown(record(**means), long)
    assert "1,400±3.2" in text
    assert "1,250±0.0" in text
    assert "7,500±287" in text
    assert "pread 4096, sum" in text  # in one line
    assert "standard deviation" in " ".join(text.split())
    assert "±" not in shown(record())
    assert max(map(len, text.splitlines())) <= 80
