# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import re

from tests.page.wellformed import problems, text_of
from ubypass.page.charts import Curve
from ubypass.page.trends import trends

_DEPTHS = tuple(2**n for n in range(11))


def _drawn(*curves: Curve) -> str:
    return trends("k", "Gain.", curves, ("depth", "% fewer"), "{:.0f}%")


def test_words_are_in_the_picture_and_in_its_alternative_text() -> None:
    points = tuple((float(depth), 40.0 - depth / 100) for depth in _DEPTHS)
    text = _drawn(Curve("64 bytes", points), Curve("<b>", ((2.0, -3.0),)))
    assert problems(text) == []
    for word in ("64 bytes", "<b>", "depth", "% fewer"):
        assert word in text_of(text)
    (alt,) = re.findall(r'aria-label="([^"]*)"', text)
    assert alt == "Gain. 64 bytes: 40% at 1, 30% at 1,024; &lt;b&gt;: -3% at 2."


def test_few_powers_are_labels_of_the_axis() -> None:
    points = tuple((float(depth), 1.0) for depth in _DEPTHS)
    words = text_of(_drawn(Curve("a", points))).split()
    assert {"1", "4", "16", "64", "256", "1,024"} <= set(words)
    assert "2" not in words
    assert "512" not in words


def test_one_point() -> None:
    assert problems(_drawn(Curve("a", ((1.0, 0.0),)))) == []
