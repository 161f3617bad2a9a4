# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from ubypass.cli.rates import Rates
from ubypass.cli.top_screen import View

_ROWS = [
    Rates(10, "redis-server", 45_000, 40_500, 2.4e6, 3, {"work": 30, "stack": 10}),
    Rates(9, "nginx", 90_000, 9_000, -2_000.0, 1, {"dispatched": 4}),
    Rates(11, "a\x1b[2Jb", 1.0, 0.0, None, 0, {}, "a filter objects"),
]


def _view(**changes: object) -> View:
    view = View(**changes)  # type: ignore[arg-type]
    view.take(_ROWS)
    return view


def _text(view: View, width: int = 80, height: int = 24) -> list[str]:
    return [line.text for line in view.lines(width, height)]


def test_what_is_shown_fits_80_columns() -> None:
    lines = _text(_view())
    assert len(lines) == 24
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("2 of 3 boosted  135 k calls/s  36.7% dispatched")
    assert "redis-server" in lines[3]
    assert lines[3].endswith("90.0%   2.4 ms   3  work 75%, stack 25%")
    assert "-2.0 us" in lines[4]
    assert lines[5].endswith("-   0  a filter objects")


def test_names_cannot_take_over_the_terminal() -> None:
    assert all(line.isprintable() or not line for line in _text(_view()))


def test_any_size() -> None:
    for width in (1, 20, 80, 200):
        for height in (1, 2, 4, 5, 24):
            lines = _text(_view(), width, height)
            assert len(lines) == height
            assert max(map(len, lines)) <= width


def test_another_order() -> None:
    view = _view()
    assert [row.pid for row in view.rows] == [10, 9, 11]
    view.order("c")
    assert [row.pid for row in view.rows] == [9, 10, 11]
    assert "by CALLS/S" in _text(view)[0]
    view.order("s")
    assert [row.pid for row in view.rows] == [10, 11, 9]
    view.order("p")
    assert [row.pid for row in view.rows] == [9, 10, 11]


def test_the_chosen_one_stays_chosen_and_in_sight() -> None:
    view = _view()
    assert view.chosen == 10
    view.move(1)
    assert view.chosen == 9
    view.move(5)
    assert view.chosen == 11
    assert any("11" in line for line in _text(view, height=5))
    view.order("c")
    assert view.chosen == 11
    view.take(_ROWS[:2])
    assert view.chosen == 9


def test_nothing_to_show() -> None:
    view = View()
    assert _text(view)[3] == "querying the engines"
    view.take([])
    assert "ub run -- COMMAND" in _text(view)[3]
    view.move(1)
    assert view.chosen is None


def test_a_page_is_scrolled() -> None:
    view = _view(page=[f"line {n}" for n in range(100)])
    assert _text(view)[0] == "line 0"
    view.move(30)
    assert _text(view)[0] == "line 30"
    view.move(1000)
    assert _text(view)[0] == "line 99"
    view.move(-1000)
    assert _text(view)[:2] == ["line 0", "line 1"]
