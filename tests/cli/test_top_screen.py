# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from dataclasses import replace

import pytest

from ubypass.cli.rates import Rates, rates
from ubypass.cli.top_screen import View
from ubypass.device.uapi import Decline
from ubypass.engine.declines import REASONS

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
    return [line.text.rstrip() for line in view.lines(width, height)]


def test_what_is_shown_fits_80_columns() -> None:
    lines = _text(_view())
    assert len(lines) == 24
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("2 of 3 boosted  135 k calls/s  36.7% dispatched")
    assert "redis-server" in lines[3]
    assert lines[3].endswith("90.0%   2.4 ms   3  work 75%, stack 25%")
    assert "-2.0 us" in lines[4]
    assert lines[5].endswith("-   0  a filter objects")


@pytest.mark.parametrize("width", [20, 80, 200])
def test_bars_are_as_wide_as_the_screen(width: int) -> None:
    lines = _view().lines(width, 24)
    bars = [line.text for line in lines if "reverse" in line.style]
    assert [len(bar) for bar in bars] == [width] * 2
    assert bars[0].rstrip().endswith("WHY NATIVE") or width < 80


def _declined(reason: Decline) -> Rates:
    process = {
        **{"pid": 4711, "name": "redis-server", "calls": 9, "dispatched": 0, "runs": 0},
        **{"exits": {}, "saving_ns": None, "run_ns": None, "regions": 0, "notes": []},
        "declined_for": reason.name.lower(),
    }
    (found,) = rates([process], [process], 1.0)
    return found


@pytest.mark.parametrize("reason", [each for each in Decline if each])
def test_why_it_is_native_can_be_read_at_80x24(reason: Decline) -> None:
    view = View()
    view.take([_declined(reason)])
    lines = _text(view)
    assert len(lines) == 24
    assert max(map(len, lines)) <= 80
    # In a word or two in its column, and in full below the list.
    assert lines[3].endswith(f"  {reason.name.lower().replace('_', ' ')}")
    said = " ".join(lines[-3:-1])
    assert said.startswith(f"4711 redis-server: native: {REASONS[reason]}")


def test_remedies_are_shown_as_far_as_there_is_room() -> None:
    view = View()
    view.take([_declined(Decline.PTRACE)])
    assert _text(view)[-3:-1] == [
        "4711 redis-server: native: it is being traced (end strace, or detach the",
        "debugger)",
    ]
    view.take([_declined(Decline.SECCOMP)])
    assert _text(view)[-2].endswith("…")


def test_all_exits_of_the_chosen_one_are_shown() -> None:
    many = {"ret_miss": 40, "syscall": 30, "frontier": 20, "work": 6, "stack": 4}
    view = View()
    view.take([Rates(7, "a", 100.0, 90.0, 1.0, 1, many)])
    lines = _text(view)
    # The column is cut, and says so.
    assert lines[3].endswith("ret_miss 40%, sysc…")
    assert len(lines[3]) == 80
    assert lines[-3] == (
        "7 a: exits: ret_miss 40%, syscall 30%, frontier 20%, work 6%, stack 4%"
    )
    view.take([Rates(7, "a", 100.0, 90.0, 1.0, 1, {})])
    assert _text(view)[-3] == "7 a: exits: none"


def test_details_follow_the_choice_and_leave_room_for_the_list() -> None:
    view = _view()
    assert _text(view)[-3].startswith("10 redis-server: exits: work 75%")
    view.move(1)
    assert _text(view)[-3].startswith("9 nginx: exits: dispatched 100%")
    view.move(1)
    assert _text(view)[-3] == "11 a?[2Jb: native: a filter objects"
    many = [replace(_ROWS[0], pid=pid) for pid in range(100, 140)]
    view.take(many)
    view.move(100)
    lines = _text(view)
    assert lines[-4].split()[0] == lines[-3].split()[0] == "139"
    # A small screen is for the list alone.
    assert not any("exits: " in line for line in _text(view, height=9))


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
