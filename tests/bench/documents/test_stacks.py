# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from tests.bench.documents.samples import said
from tests.bench.server.samples import beside, runs
from ubypass.bench.documents.stacks import blocks, findings, lines
from ubypass.page import markdown
from ubypass.page.content import Section, Strong

_ABSENT = "no F-Stack: /data/f-stack/app is missing"


def test_a_row_with_cost_rate_and_replies() -> None:
    (row,) = lines([beside(runs=runs(20_000))], 3, 6)
    assert row == ("GET 64, F-Stack", "20,000", "-", "25,000", "-", "100 right")
    (wrong,) = lines([beside(wrong=2)], 3, 6)
    assert wrong[-1] == Strong("2 of 100 wrong")


def test_cases_that_were_not_run_are_one_row_and_one_line() -> None:
    absent = [beside(case=case, runs=(), not_run=_ABSENT) for case in ("a", "b")]
    assert lines(absent, 2, 4) == [("on F-Stack", "not run", "-", "-")]
    text = f"redis on F-Stack: not run: {_ABSENT}"
    assert list(map(said, findings(absent))) == [text]
    assert f"- {text}" in markdown.section(Section("s", blocks(absent)))


def test_a_virtual_device_is_no_bypass() -> None:
    text = markdown.section(Section("s", blocks([beside()])))
    assert "a virtual device is no bypass: each packet" in text
    assert "not run" not in text
    assert blocks([]) == []


def test_a_sentence_for_what_was_run() -> None:
    (words,) = findings([beside(runs=runs(20_000))])
    assert said(words) == (
        "redis GET 64 on F-Stack, native: 25,000 requests/s; polling included, 20,000 "
        "instructions of CPU time for each request."
    )
    _, wrong = findings([beside(wrong=1)])
    assert "<replies were wrong>" in said(wrong)
