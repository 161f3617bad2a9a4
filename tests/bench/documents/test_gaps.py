# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from tests.bench.documents.samples import gap, sentences
from ubypass.bench.documents.gaps import GAPS
from ubypass.page import markdown


def test_loops_are_summed_up_in_a_sentence() -> None:
    assert sentences(GAPS, gap(), gap(case="getppid", median=10, translated=13)) == (
        "Iterations of all loops, together: 32 instructions natively, 48 in "
        "translations (1.50)."
    )
    assert sentences(GAPS, gap(server="redis")) == ""


def test_a_gap_that_is_not_translated() -> None:
    text = markdown.section(GAPS.section([gap(translated=None, growth=None)]))
    assert text.splitlines()[-1].endswith("| 22 | 22 | 23 | | |")
