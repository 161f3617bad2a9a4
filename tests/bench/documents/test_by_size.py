# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

from tests.bench.documents.samples import ICOUNT, MILAN
from tests.bench.samples import record
from tests.bench.uring.samples import comparison, row
from tests.page.wellformed import problems, text_of
from ubypass.bench.documents.by_size import sections
from ubypass.bench.documents.loops import LOOPS
from ubypass.bench.documents.read import Batch, batch
from ubypass.bench.documents.rivals import RIVALS
from ubypass.bench.records import Record
from ubypass.bench.uring.record import FIO, NATIVE, Row
from ubypass.page import markdown
from ubypass.page.content import plots


def _loops(*records: Record) -> Batch:
    return batch(Path("io.json"), LOOPS, records, "")


def _rivals(*rows: Row) -> Batch:
    return batch(Path("uring.json"), RIVALS, rows, "")


def test_io_uring_at_its_best_beside_boosted_reads_and_their_limit() -> None:
    others = (record(sum=True, gap=90.0), record(machine=MILAN, gap=80.0))
    found = sections([_loops(*others, record(gap=10.0)), _rivals(*comparison())])
    (section,) = found
    text = markdown.section(section)
    assert (
        "| memory | 64 | 1,190 | 1,000 | 1,400 | 2,400 | 1,300 (32) | 2,000 | "
        "900 (32) |" in text
    )
    assert "limit: " in text
    (plot,) = plots(found)
    assert plot.command == "ub bench io; ub bench io --with uring"
    picture = plot.draw("k")
    assert problems(picture) == []
    for word in ("64 bytes", "boosted 1,000, io_uring 900", "limit", "registered"):
        assert word in text_of(picture)


def test_without_the_limit_of_that_machine() -> None:
    found = sections([_loops(record(machine=MILAN)), _rivals(*comparison())])
    text = markdown.section(found[0])
    assert "| memory | 64 | - | 1,000 |" in text
    assert "limit: " not in text
    (plot,) = plots(found)
    assert plot.command == "ub bench io --with uring"
    assert "limit" not in text_of(plot.draw("k"))


def test_a_plot_for_each_place_and_a_section_for_each_machine() -> None:
    rows = [*comparison(), *comparison(place="cached"), *comparison(machine=MILAN)]
    here, other = sections([_rivals(*rows)])
    assert here.title == "Reads by size, QEMU TCG CPU without page-table isolation"
    assert other.title == "Reads by size, EPYC-Milan without page-table isolation"
    assert len(list(plots([here]))) == 2
    assert len(list(plots([other]))) == 1


def test_nothing_to_compare() -> None:
    assert sections([_loops(record())]) == []
    assert sections([_rivals(*comparison(program=FIO))]) == []
    native = row(NATIVE, 64, 1, 1400.0, machine=ICOUNT)
    assert sections([_rivals(native)]) == []
