# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from dataclasses import replace

import pytest

from tests.bench.chains.samples import replayed
from tests.bench.documents.samples import XEON, chain, sentences
from tests.page.wellformed import text_of
from ubypass.bench.chains.decisions import as_json
from ubypass.bench.chains.figures import figures
from ubypass.bench.chains.isolation import Isolation
from ubypass.bench.chains.job import Mode
from ubypass.bench.documents.chains import CHAINS, Chain
from ubypass.cost.model import Range
from ubypass.page import html, markdown
from ubypass.page.content import Standard, plots

_MINUS = "\N{MINUS SIGN}"


def _between(low: float, high: float) -> Chain:
    """With these quartiles."""
    one = chain()
    (mode,) = one.figures.modes
    modes = (replace(mode, low=low, high=high),)
    return Chain(replace(one.figures, modes=modes), one.decisions)


def test_what_json_wrote_is_read() -> None:
    one = chain()
    (again,) = CHAINS.read([as_json(one.figures, one.decisions)])
    assert again.figures.as_json() == one.figures.as_json()
    assert again.decisions == one.decisions


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (100, 200, "sample: saves 105 ns for each request, 10.5% of its CPU time."),
        (-50, 200, f"no significant difference, quartiles {_MINUS}50 to +200"),
        (-200, -100, "sample: loses "),
    ],
)
def test_a_gain_is_only_claimed_where_it_can_be_told(
    low: float, high: float, words: str
) -> None:
    assert words in sentences(CHAINS, _between(low, high))


def test_a_wrong_translation_has_no_figures() -> None:
    assert "<7 words of memory differ>; nothing was timed" in sentences(
        CHAINS, chain(wrong=7)
    )
    assert list(plots([CHAINS.section([chain(wrong=7)])])) == []


def test_the_share_with_isolation_is_called_modelled() -> None:
    one = chain()
    added = Isolation(Range(50, 100, 200), "made up")
    text = markdown.section(
        CHAINS.section([Chain(replace(one.figures, isolation=added), None)])
    )
    assert "| isolated, modelled |" in text
    assert "| +10.5% | - | +25.4% |" in text
    assert "| +10.5% | - | - |" in markdown.section(CHAINS.section([one]))


def test_without_transitions_no_gain_is_known() -> None:
    hot = Chain(figures(replayed(Mode.HOT), XEON), None)
    assert "the gain is unknown" in sentences(CHAINS, hot)
    assert "| sample | 2 | 2 | 1 | - | - |" in markdown.section(CHAINS.section([hot]))


def test_timed_and_modelled_figures_stand_in_plots_of_their_own() -> None:
    timed, modelled = plots([CHAINS.section([chain()])])
    assert timed.standard is Standard.TIMED
    assert modelled.standard is Standard.MODELLED
    assert "skylake-pti" not in text_of(timed.draw("a"))
    assert "skylake-pti" in text_of(modelled.draw("b"))


def test_a_model_that_is_not_known_is_not_drawn() -> None:
    assert len(list(plots([CHAINS.section([chain(model="z80")])]))) == 1


def test_times_of_an_emulator_are_called_so() -> None:
    one = chain()
    slow = Chain(replace(one.figures, cpu="QEMU TCG CPU version 2.5+ (?)"), None)
    (plot,) = plots([CHAINS.section([slow])])
    assert plot.standard is Standard.EMULATED


def test_each_gap_can_be_looked_up() -> None:
    text = text_of(html.section(CHAINS.section([chain()]), "s"))
    assert "sample: read → write" in text
    assert "share of a request" in text
    assert "+50 … +395" in text


def test_old_records_have_no_spread_of_gaps() -> None:
    one = chain()
    data = as_json(one.figures, one.decisions)
    for gap in data["modes"][0]["gaps"]:
        del gap["saved_low_ns"], gap["saved_high_ns"]
    text = text_of(html.section(CHAINS.section(CHAINS.read([data])), "s"))
    assert "+395" not in text


def test_each_command_is_an_origin_with_its_date() -> None:
    one = chain()
    made = replace(one.figures, command="ub bench chains loop", date="2026-11-29")
    found = CHAINS.origins([one, replace(one, figures=made)])
    assert [(each.command, each.date) for each in found] == [
        ("ub bench chains", ""),
        ("ub bench chains loop", "2026-11-29"),
    ]
