# SPDX-License-Identifier: GPL-2.0-only
"""Rebuilds come at once when something is new, and ever more rarely after that."""

from __future__ import annotations

from ubypass.engine.pace import Pace


def _build(pace: Pace, start: float, seconds: float) -> float:
    pace.started()
    pace.finished(start + seconds, seconds)
    return start + seconds


def test_the_first_news_is_acted_on_at_once() -> None:
    pace = Pace()
    assert pace.due is None
    pace.news(100.0)
    assert pace.due == 100.0


def test_nothing_is_due_without_news() -> None:
    pace = Pace()
    pace.news(1.0)
    _build(pace, 1.0, 0.01)
    assert pace.due is None


def test_the_waits_grow_and_are_bounded() -> None:
    pace = Pace(shortest=0.05, longest=0.4, growth=2.0)
    now, waits = 10.0, []
    for _ in range(6):
        pace.news(now)
        assert pace.due is not None
        waits.append(round(pace.due - now, 6))
        now = _build(pace, pace.due, 0.0)
    assert waits == [0.0, 0.05, 0.1, 0.2, 0.4, 0.4]


def test_a_long_build_earns_a_pause_as_long() -> None:
    pace = Pace()
    pace.news(0.0)
    end = _build(pace, 0.0, 30.0)
    pace.news(end)
    assert pace.due == end + 30.0


def test_news_during_a_build_waits_for_the_next() -> None:
    pace = Pace(shortest=0.05)
    pace.news(0.0)
    pace.started()
    pace.news(0.2)
    pace.finished(0.3, 0.3)
    assert pace.due is not None
    assert abs(pace.due - 0.6) < 1e-9


def test_a_quiet_program_is_followed_quickly_again() -> None:
    pace = Pace(quiet=5.0)
    now = 0.0
    for _ in range(40):
        pace.news(now)
        assert pace.due is not None
        now = _build(pace, pace.due, 0.0)
    pace.news(now + 10.0)
    assert pace.due == now + 10.0
    now = _build(pace, now + 10.0, 0.0)
    pace.news(now)
    assert pace.due is not None
    assert abs(pace.due - now - 0.05) < 1e-9


def test_a_pause_postpones_even_what_is_due() -> None:
    pace = Pace()
    pace.news(1.0)
    pace.pause(1.0, 0.8)
    assert pace.due == 1.8
