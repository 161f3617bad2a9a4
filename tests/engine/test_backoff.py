# SPDX-License-Identifier: GPL-2.0-only
"""Rebuilds come at once when something is new, and ever more rarely after that."""

from __future__ import annotations

from ubypass.engine.backoff import Backoff


def _build(backoff: Backoff, start: float, seconds: float) -> float:
    backoff.started()
    backoff.finished(start + seconds, seconds)
    return start + seconds


def test_the_first_news_is_acted_on_at_once() -> None:
    backoff = Backoff()
    assert backoff.due is None
    backoff.request(100.0)
    assert backoff.due == 100.0


def test_nothing_is_due_without_news() -> None:
    backoff = Backoff()
    backoff.request(1.0)
    _build(backoff, 1.0, 0.01)
    assert backoff.due is None


def test_the_waits_grow_and_are_bounded() -> None:
    backoff = Backoff(shortest=0.05, longest=0.4, growth=2.0)
    now, waits = 10.0, []
    for _ in range(6):
        backoff.request(now)
        assert backoff.due is not None
        waits.append(round(backoff.due - now, 6))
        now = _build(backoff, backoff.due, 0.0)
    assert waits == [0.0, 0.05, 0.1, 0.2, 0.4, 0.4]


def test_a_long_build_earns_a_pause_as_long() -> None:
    backoff = Backoff()
    backoff.request(0.0)
    end = _build(backoff, 0.0, 30.0)
    backoff.request(end)
    assert backoff.due == end + 30.0


def test_news_during_a_build_waits_for_the_next() -> None:
    backoff = Backoff(shortest=0.05)
    backoff.request(0.0)
    backoff.started()
    backoff.request(0.2)
    backoff.finished(0.3, 0.3)
    assert backoff.due is not None
    assert abs(backoff.due - 0.6) < 1e-9


def test_a_quiet_program_is_followed_quickly_again() -> None:
    backoff = Backoff(quiet=5.0)
    now = 0.0
    for _ in range(40):
        backoff.request(now)
        assert backoff.due is not None
        now = _build(backoff, backoff.due, 0.0)
    backoff.request(now + 10.0)
    assert backoff.due == now + 10.0
    now = _build(backoff, now + 10.0, 0.0)
    backoff.request(now)
    assert backoff.due is not None
    assert abs(backoff.due - now - 0.05) < 1e-9


def test_a_pause_postpones_even_what_is_due() -> None:
    backoff = Backoff()
    backoff.request(1.0)
    backoff.delay(1.0, 0.8)
    assert backoff.due == 1.8
