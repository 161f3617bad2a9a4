# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from tests.page.wellformed import problems, text_of
from ubypass.page import shares
from ubypass.page.charts import Bar
from ubypass.page.shares import Whole


def _bars(*wholes: Whole) -> list[list[Bar]]:
    names = shares._names(wholes)
    found = []
    for whole in wholes:
        bars = shares._bars(whole.counts, names)
        assert all(isinstance(bar, Bar) for bar in bars)
        found.append([bar for bar in bars if isinstance(bar, Bar)])
    return found


def test_bars_make_up_a_hundred_the_most_frequent_first() -> None:
    one, two = _bars(
        Whole("a", "", {"fault": 1, "ret_miss": 3}), Whole("b", "", {"fault": 2})
    )
    # Of both together there are as many of each: in order of their names.
    assert [(bar.start, bar.end) for bar in one] == [(0, 25), (25, 100)]
    assert [(bar.start, bar.end) for bar in two] == [(0, 100)]
    assert two[0].colour in {bar.colour for bar in one}


def test_many_reasons_share_the_last_colour() -> None:
    counts = {f"r{n}": 20.0 - n for n in range(12)}
    text = shares.shares("k", "Exits", [Whole("a", "n", counts)], "%")
    assert problems(text) == []
    assert "all others" in text_of(text)
    (bars,) = _bars(Whole("a", "", counts))
    assert bars[-1].end == pytest.approx(100)
    assert len({bar.colour for bar in bars}) == len(bars) == 7


def test_reasons_are_words() -> None:
    text = shares.shares("k", "Exits", [Whole("a", "n", {"ret_miss": 1})], "%")
    assert "ret miss" in text_of(text)
