# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import dataclasses

from tests.bench.documents.samples import sentences
from tests.bench.samples import ICOUNT
from tests.bench.uring.samples import comparison
from tests.page.wellformed import text_of
from ubypass.bench.documents.rivals import RIVALS
from ubypass.bench.uring.record import BOOSTED, FIO, NATIVE
from ubypass.page import markdown
from ubypass.page.content import Standard, plots


def test_the_section_has_whole_rows() -> None:
    rows = [*comparison(), *comparison(program=FIO, place="cached")]
    text = markdown.section(RIVALS.section(rows))
    assert text.index("## io_uring") < text.index("### fio")
    assert "`ub bench io --with uring`; Linux 6.1.0-56-amd64" in text
    assert "`ub bench io --with fio --disk`" in text
    assert (
        "| memory | 64 | 32 | 1,400 | 1,000 | 1,300 | 900 | registered, 10% |" in text
    )
    assert "- io_uring SQPOLL: not a measurement: one processor" in text
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in table} == {9}


def test_a_sentence_for_each_program() -> None:
    text = sentences(RIVALS, *comparison(), *comparison(program=FIO))
    first, second = text.splitlines()
    assert first.startswith("Boosted pread needs fewer instructions")
    assert second.startswith("fio: Boosted pread")


def test_the_gain_by_depth() -> None:
    (gain,) = plots([RIVALS.section(comparison())])
    assert "64 bytes: 50% at 1" in gain.draw("k")


def test_without_pread_all_ways_in_one_plot() -> None:
    uring = [r for r in comparison(program=FIO) if r.way not in (BOOSTED, NATIVE)]
    (costs,) = plots([RIVALS.section(uring)])
    picture = text_of(costs.draw("k"))
    for word in ("io_uring", "registered", "64 bytes, depth 32"):
        assert word in picture
    assert "SQPOLL" not in picture
    assert costs.command == "ub bench io --with fio"


def test_other_units_in_another_file() -> None:
    metal = dataclasses.replace(ICOUNT, unit="ns", accelerator="none")
    found = plots([RIVALS.section(comparison(machine=metal))])
    assert {plot.standard for plot in found} == {Standard.TIMED}


def test_nothing_that_could_be_measured() -> None:
    (missing, *_) = comparison()
    assert "one processor" in markdown.section(RIVALS.section([missing]))
