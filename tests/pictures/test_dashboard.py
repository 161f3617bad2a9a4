# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.pictures import dashboard, panels


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.1234, "percentunit", "12.3 %"),
        (1536.0, "bytes", "1.5 KiB"),
        (0.0, "bytes", "0 B"),
        (12_345.0, "ops", "12.3 K ops/s"),
        (90.0, "s", "90 s"),
        (2.0, "none", "2"),
        (math.nan, "ops", "no value"),
    ],
)
def test_numbers_have_their_unit(value: float, unit: str, text: str) -> None:
    assert dashboard.shown(value, unit) == text


def _described(title: str) -> panels.Panel:
    (found,) = [p for p in panels.dashboard()["panels"] if p["title"] == title]
    return panels.Panel(found, ())


@pytest.mark.parametrize(
    ("title", "value", "text", "color"),
    [
        ("Service runs", 1, "yes", "green"),
        ("Service runs", 0, "no", "red"),
        ("Paused", 1, "paused", "orange"),
        ("Figures' age", 119, "119 s", "green"),
        ("Figures' age", 120, "120 s", "red"),
        ("Waiting for a limit", 3, "3", "orange"),
        # The value of it is always 1.
        ("Version", 1, "name", "green"),
    ],
)
def test_states_have_words_and_colours(
    title: str, value: float, text: str, color: str
) -> None:
    found = dashboard.state(_described(title).description, value, "name")
    assert found == (text, dashboard.COLORS[color])


def test_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    times = tuple(float(1_700_000_000 + 60 * n) for n in range(9))
    series = [
        panels.Series(f"series {n}", times, tuple(float(n) for _ in times))
        for n in range(8)
    ]
    found = [
        panels.Panel(each, tuple(series) if each["id"] % 2 else ())
        for each in panels.dashboard()["panels"]
    ]
    figure = dashboard.draw(found, "a title")
    words = {text.get_text() for text in figure.texts}
    assert {"a title", "Is it on?", "No data"} <= words
    titles = {each.get_text() for axes in figure.axes for each in axes.texts}
    assert {
        panel.title for panel in found if panel.description["type"] != "row"
    } <= titles
    assert any(word.endswith("and 2 more") for word in words)
    figure.savefig(tmp_path / "out.png")
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
