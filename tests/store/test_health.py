# SPDX-License-Identifier: GPL-2.0-only
"""Requests stop after failures, and are bounded."""

from __future__ import annotations

from ubypass.store.health import Breaker, Budget


def test_after_three_failures_in_a_row_nothing_is_asked_for_a_while() -> None:
    breaker = Breaker(failures=3, shortest=30, longest=100)
    for _ in range(5):  # not in a row
        breaker.failed(0)
        breaker.failed(0)
        breaker.succeeded()
    assert breaker.allows(0)
    for _ in range(3):
        breaker.failed(0)
    assert not breaker.allows(29)
    assert breaker.allows(30)
    breaker.failed(30)
    assert not breaker.allows(89)
    breaker.failed(90)
    assert not breaker.allows(189)
    assert breaker.allows(190)
    for _ in range(5000):
        breaker.failed(200)
    assert breaker.allows(300)
    breaker.succeeded()
    breaker.failed(300)
    assert breaker.allows(300)


def test_the_budget_has_a_burst_and_a_rate() -> None:
    budget = Budget(burst=4, rate=2)
    assert [budget.take(5) for _ in range(6)] == [True] * 4 + [False] * 2
    assert budget.take(5.5)
    assert not budget.take(5.5)
    assert [budget.take(1000) for _ in range(5)] == [True] * 4 + [False]
