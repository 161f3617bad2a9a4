# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from tests.bench.documents.samples import sentences
from tests.bench.test_functions import timing
from ubypass.bench.documents.functions import FUNCTIONS
from ubypass.bench.functions import summary
from ubypass.page import markdown


def test_what_json_wrote_is_read() -> None:
    assert FUNCTIONS.read(summary([timing(), timing(name="g", left="here")])) == [
        timing(),
        timing(name="g", left="here"),
    ]


def test_only_what_stays_inside_is_shown() -> None:
    records = [timing(), timing(name="early", left="here", translated=90.0)]
    assert "1 functions of libraries: translated they take 1.200" in sentences(
        FUNCTIONS, *records
    )
    text = markdown.section(FUNCTIONS.section(records))
    assert "| f | 10.0 | 12.0 | 1.20 | 1.50 | same |" in text
    assert "early |" not in text
    assert "leave" in sentences(FUNCTIONS, records[1])


def test_other_results_stand_out() -> None:
    text = markdown.section(FUNCTIONS.section([timing(same=False)]))
    assert "**differ**" in text
