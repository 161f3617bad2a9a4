# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from tests.page.wellformed import problems, text_of
from ubypass.bench.chains.decisions import Decision, Decisions
from ubypass.bench.documents.transition import (
    gain,
    saved_per_call,
    savings,
    section,
)
from ubypass.cost.model import Range, models
from ubypass.page import html
from ubypass.page.content import Standard, plots


def test_gain_is_what_a_transition_costs_more_than_a_dispatch() -> None:
    assert gain(100, 0, 100) == 0.5
    assert gain(12, 12, 100) == 0
    assert gain(112, 12, 888) == pytest.approx(0.1)


def test_every_processor_of_the_table_is_marked() -> None:
    text = text_of(html.section(section(), "s"))
    for model in models().values():
        assert model.processor in text
    (plot,) = plots([section()])
    assert plot.standard is Standard.MODELLED
    picture = plot.draw("k")
    assert problems(picture) == []
    for name in models().keys() - {"generic"}:
        assert name in text_of(picture)


def test_a_dearer_transition_saves_so_much_more_where_a_gap_gains() -> None:
    own = models()["zen4"].transition.ns.likely
    gaps = (
        Decision("read", "write", 3, Range(0, 40, 99), 55),
        Decision("write", "read", 1, Range(-99, -30, 9), -50),
    )
    decisions = Decisions("zen4", gaps)
    assert saved_per_call(decisions, own) == pytest.approx(3 * 40 / 4)
    assert saved_per_call(decisions, own + 50) == pytest.approx((3 * 90 + 20) / 4)
    assert saved_per_call(decisions, 0) == 0
    assert "redis" in text_of(savings("k", "t", {"redis": decisions}))
