# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import re

from tests.page.wellformed import problems, text_of
from ubypass.page.charts import Bar, Curve, Dot, Range, Row, curves, legend_size, rows
from ubypass.page.svg import Colour

_ROW = Row(
    "first",
    "1 to 3",
    (Bar(0, 2, Colour.C1), Range(1, 3, Colour.C2), Dot(2, Colour.C3, hollow=True)),
)


def _alt(svg: str) -> str:
    (found,) = re.findall(r'aria-label="([^"]*)"', svg)
    return str(found)


def _box(svg: str) -> tuple[float, float]:
    (found,) = re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    width, height = map(float, found)
    return width, height


def test_words_are_in_the_picture_and_in_its_alternative_text() -> None:
    legend = [("bars", Bar, Colour.C1), ("dots", Dot, Colour.C3)]
    text = rows("k", "Some figures", [_ROW], "ns", [*legend, ("r", Range, Colour.C2)])
    assert problems(text) == []
    for word in ("first", "1 to 3", "ns", "bars", "dots"):
        assert word in text_of(text)
    assert _alt(text) == "Some figures. first: 1 to 3."
    for colour in ("c1", "c2", "c3", "page"):
        assert f"var(--{colour})" in text


def test_a_row_more_needs_more_room_and_never_more_width() -> None:
    few, many = (rows("k", "t", [_ROW] * n, "ns") for n in (2, 12))
    assert _box(few)[0] == _box(many)[0]
    assert _box(many)[1] > 3 * _box(few)[1]


def test_long_words_are_cut_and_many_rows_are_not_all_told() -> None:
    long = Row("x" * 200, "n", (Bar(0, 1, Colour.C1),))
    text = rows("k", "t", [long] * 15, "ns")
    assert "x" * 100 not in text_of(text)
    assert "and 3 more in the table" in _alt(text)


def test_values_of_all_signs_and_sizes() -> None:
    shapes = (Bar(-5, 0, Colour.C1), Dot(0, Colour.C2), Range(-1e12, 1e12, Colour.C3))
    assert problems(rows("k", "t", [Row("a", "", shapes)], "ns", reference=0.0)) == []
    assert problems(rows("k", "t", [Row("a", "", ())], "ns")) == []


def test_curves_above_rows_of_marks() -> None:
    curve = Curve("slow", ((0, 0), (10, 5), (20, 8)))
    mark = Row("cpu", "10 ns", (Range(8, 12, Colour.C1), Dot(10, Colour.C1)))
    text = curves("k", "Gains", [curve], [mark], ("cost", "gain"))
    assert problems(text) == []
    for word in ("slow", "cpu", "10 ns", "cost", "gain"):
        assert word in text_of(text)
    assert "slow: 0 to 8" in _alt(text)


def test_long_labels_of_a_legend_get_more_room() -> None:
    assert [legend_size(["a" * n] * 6)[0] for n in (5, 20, 40)] == [3, 2, 1]
    assert legend_size(["a"] * 4)[0] == 2
    assert legend_size([])[1] == 0
    assert legend_size(["a" * 40] * 6)[1] == 3 * legend_size(["a"] * 6)[1]
