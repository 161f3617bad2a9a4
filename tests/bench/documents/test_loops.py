# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import dataclasses

from tests.bench.documents.samples import sentences
from tests.bench.samples import ICOUNT, record
from tests.page.wellformed import text_of
from ubypass.bench.documents.loops import LOOPS, name
from ubypass.page import html
from ubypass.page.content import Standard, plots


def test_names() -> None:
    assert name(record()) == "pread 64"
    assert name(record(sum=True, place="cold")) == "pread 64, sum, cold"
    assert name(record(size=0, workload="getppid")) == "getppid"


def test_a_sentence_for_each_loop_from_the_best_size_to_the_worst() -> None:
    text = sentences(
        LOOPS,
        record(),
        record(size=4096, native=5_000.0, boosted=4_900.0),
        record(size=0, workload="getppid", native=300.0, boosted=150.0),
    )
    assert text.splitlines() == [
        "pread, all sizes: 10.7% fewer instructions per call (1,400 → 1,250), to "
        "2.0% fewer (5,000 → 4,900); 99.9% of them dispatched.",
        "getppid: 50.0% fewer instructions per call (300 → 150); 99.9% of them "
        "dispatched.",
    ]


def test_a_loss_and_no_difference_are_told() -> None:
    assert "10.0% more instructions" in sentences(LOOPS, record(boosted=1_540.0))
    assert "no more and no fewer" in sentences(LOOPS, record(boosted=1_400.1))


def test_what_was_not_boosted_is_no_gain() -> None:
    text = sentences(LOOPS, record(bypass_rate=0.25, why_not=("no luck",)))
    assert "not boosted, 25.0% of its calls were dispatched: no luck" in text
    assert "fewer" not in text


def test_wrong_data_stands_out() -> None:
    assert "<read other data>" in sentences(LOOPS, record(same_results=False))


def test_counted_and_timed_loops_stand_in_no_plot_together() -> None:
    metal = dataclasses.replace(ICOUNT, unit="ns", accelerator="none")
    found = list(plots([LOOPS.section([record(), record(machine=metal)])]))
    assert [plot.standard for plot in found] == [Standard.COUNTED, Standard.TIMED]
    pictures = [text_of(plot.draw(f"k{n}")) for n, plot in enumerate(found)]
    assert "instructions per call" in pictures[0]
    assert "nanoseconds per call" in pictures[1]


def test_a_plot_shows_losses() -> None:
    def picture(**changes: float) -> str:
        (plot,) = plots([LOOPS.section([record(**changes)])])
        return plot.draw("k")

    assert "lost" not in text_of(picture())
    assert "lost" in text_of(picture(boosted=1_500.0))
    assert "+7.1%" in text_of(picture(boosted=1_500.0))


def test_reads_from_a_disk_name_their_command() -> None:
    text = html.section(LOOPS.section([record(place="cold")]), "s")
    assert "ub bench io --disk" in text
    assert "Reads from a disk" in text
    (origin,) = LOOPS.origins([record(place="cold")])
    assert origin.command == "ub bench io --disk"
    assert ("kernel", "Linux 6.1.0-56-amd64") in origin.machine


def test_each_command_is_an_origin_with_its_date() -> None:
    made = {"command": "ub bench io --quick", "date": "2026-11-29"}
    found = LOOPS.origins([record(), record(**made), record(size=1, **made)])
    assert [(each.command, each.date) for each in found] == [
        ("ub bench io", ""),
        ("ub bench io --quick", "2026-11-29"),
    ]
