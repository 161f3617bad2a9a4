# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from dataclasses import replace

from tests.bench.samples import ICOUNT
from tests.bench.uring.samples import comparison, row
from ubypass.bench.uring.record import BOOSTED, FIO, NATIVE, PLAIN, REGISTERED, SQPOLL
from ubypass.bench.uring.words import lines, notes, sentence


def test_each_size_and_depth_is_a_line_with_all_ways() -> None:
    first, second = lines(comparison())
    assert (first.size, first.depth) == (64, 1)
    assert first.costs == {
        **{PLAIN: 2400.0, REGISTERED: 2000.0},
        **{NATIVE: 1400.0, BOOSTED: 1000.0},
    }
    assert second.depth == 32
    assert second.costs[BOOSTED] == 1000.0


def test_places_do_not_mix() -> None:
    rows = [*comparison(place="cached"), *comparison()]
    assert [line.place for line in lines(rows)] == ["memory"] * 2 + ["cached"] * 2


def test_who_is_ahead() -> None:
    first, second = lines(comparison())
    assert first.ahead == "boosted, 50%"
    assert second.ahead == "registered, 10%"
    rows = [*comparison()[:-1], row(BOOSTED, 64, 1, 903.0)]
    assert lines(rows)[1].ahead == "even"


def test_without_boosted_native_pread_is_compared() -> None:
    rows = comparison()[:-1]
    assert [line.ahead for line in lines(rows)] == ["pread, 30%", "registered, 36%"]
    assert sentence(rows).startswith("Pread needs fewer instructions")


def test_all_lines_compare_the_same_way() -> None:
    rows = [
        *comparison(),
        row(NATIVE, 256, 1, 1400.0),
        row(PLAIN, 256, 1, 2400.0),
        row(BOOSTED, 256, 1, None, why_not="not boosted"),
    ]
    assert [line.ahead for line in lines(rows)] == [
        *("boosted, 50%", "registered, 10%", "-")
    ]
    assert "in 1 of 2 lines" in sentence(rows)


def test_time_is_that_of_all_threads_and_elapsed_time_is_beside_it() -> None:
    timed = replace(ICOUNT, unit="ns")
    rows = [
        replace(row(NATIVE, 64, 1, 250.0), machine=timed),
        *(
            replace(row(SQPOLL, 64, depth, 900.0), elapsed=460.0, machine=timed)
            for depth in (8, 1024)
        ),
    ]
    first, _ = lines(rows)
    assert first.cell(NATIVE) == "250"
    assert first.cell(SQPOLL) == "900 (460)"
    assert first.cell(PLAIN) == "-"
    assert sentence(rows) == (
        "Pread needs less time than io_uring's best in 2 of 2 lines, by 72% to "
        "72%; in none does io_uring need less."
    )
    rows[0] = replace(rows[0], cost=920.0)
    assert [line.ahead for line in lines(rows)] == ["even", "even"]
    rows[0] = replace(rows[0], cost=1000.0)
    assert sentence(rows).endswith(
        "io_uring needs less, by up to 10%, for 64 bytes (2 depths from 8 to 1,024)."
    )


def test_without_io_uring_pread_still_shows() -> None:
    rows = [row(NATIVE, 64, 1, 3.0), row(BOOSTED, 64, 1, 2.0)]
    (line,) = lines(rows)
    assert line.costs == {NATIVE: 3.0, BOOSTED: 2.0}
    assert line.ahead == "-"
    assert sentence(rows) == ""


def test_the_sentence_is_honest() -> None:
    said = sentence(comparison())
    assert "fewer instructions than io_uring's best in 1 of 2 lines, by 50%" in said
    assert "io_uring needs fewer, by up to 10%, for 64 bytes (depth 32)" in said
    good = [each for each in comparison() if each.depth != 32]
    assert "in none does io_uring need fewer" in sentence(good)


def test_what_costs_do_not_tell() -> None:
    rows = [
        *comparison(),
        *comparison(place="cached"),
        row(PLAIN, 256, 8, 5.0, workers=3, place="cached"),
        row(PLAIN, 64, 8, 5.0, workers=2, place="cached"),
        row(BOOSTED, 256, 1, None, why_not="gaps are too long", program=FIO),
        row(BOOSTED, 64, 1, 5.0, same_results=False),
        row(BOOSTED, 64, 1, 5.0, same_results=None),
    ]
    assert notes(rows) == [
        "io_uring SQPOLL: not a measurement: one processor",
        "fio, boosted pread, 256 bytes: gaps are too long",
        "boosted pread, 64 bytes: READ OTHER DATA",
        "io_uring, cached: threads of the kernel (iou-wrk) made the reads, up to 3",
    ]
