# SPDX-License-Identifier: GPL-2.0-only
"""The ledger of trying: no window has more than its share."""

from __future__ import annotations

import math
import random

import pytest

from ubypass.engine.budget import Budget

_MS = 1_000_000


def _busy(budget: Budget, begin: float, end: float) -> None:
    """A process that uses one processor."""
    at = begin
    while at <= end:
        budget.observe(at, round((at - begin) * 1e9))
        at += 0.5


def test_a_fresh_process_may_be_tried_at_once() -> None:
    budget = Budget()
    budget.observe(5.0, 0)
    loan = budget.lend(5.0, 400_000)
    assert loan
    assert loan.ns == 400_000
    assert budget.left(5.0) == pytest.approx(600_000)
    # What was not used is given back; the rest is gone for good.
    budget.settle(loan, 5.1, 150_000)
    assert budget.left(5.1) == pytest.approx(850_000)
    assert budget.left(500.0) == pytest.approx(850_000)


def test_the_share_of_a_busy_process() -> None:
    budget = Budget(share=0.001, first=0)
    _busy(budget, 100.0, 130.0)
    assert budget.left(130.0) == pytest.approx(10 * _MS)
    loan = budget.lend(130.0, 50 * _MS)
    assert loan
    assert loan.ns == pytest.approx(10 * _MS)
    assert budget.lend(130.0, 50 * _MS) is None


def test_what_is_lent_counts_until_a_window_after_its_end() -> None:
    budget = Budget(share=0.001, first=0)
    _busy(budget, 100.0, 140.0)
    loan = budget.lend(140.0, 10 * _MS)
    assert loan
    _busy(budget, 100.0, 160.0)
    assert budget.left(160.0) == 0
    budget.settle(loan, 160.0, 4 * _MS)
    assert budget.left(160.0) == pytest.approx(6 * _MS)
    _busy(budget, 100.0, 169.5)
    assert budget.left(169.5) == pytest.approx(6 * _MS)
    _busy(budget, 100.0, 170.5)
    assert budget.left(170.5) == pytest.approx(10 * _MS)


def test_an_idle_process_saves_nothing_up() -> None:
    budget = Budget(share=0.001, first=0)
    _busy(budget, 0.0, 100.0)
    used = 100 * 10**9
    budget.observe(120.0, used)
    budget.observe(121.0, used + 10**8)
    assert budget.left(121.0) == pytest.approx(100_000)


def test_less_than_is_of_use_is_not_lent() -> None:
    budget = Budget(first=30_000)
    budget.observe(1.0, 0)
    assert budget.lend(1.0, 400_000, least=50_000) is None
    assert budget.left(1.0) == 30_000


def test_what_was_not_lent_is_charged_as_well() -> None:
    budget = Budget(share=0.001, first=0)
    _busy(budget, 0.0, 20.0)
    budget.charge(20.0, 9 * _MS)
    assert budget.left(20.0) == pytest.approx(_MS)
    budget.charge(20.0, 9 * _MS)
    assert budget.left(20.0) == 0
    budget.charge(20.0, -5.0)
    assert budget.left(20.0) == 0


def test_without_a_limit() -> None:
    budget = Budget(share=math.inf)
    loan = budget.lend(1.0, 10**9)
    assert loan
    assert loan.ns == 10**9


@pytest.mark.parametrize("seed", range(5))
def test_no_window_has_more_than_its_share(seed: int) -> None:
    """Whatever is asked for, and however little of the CPU the process uses."""
    chance = random.Random(seed)
    budget = Budget(share=0.001, first=_MS)
    now, cpu = 50.0, 0
    spent: list[tuple[float, float]] = []
    used: list[tuple[float, int]] = [(now, 0)]
    open_loans = []
    budget.observe(now, 0)
    for _ in range(3000):
        step = chance.uniform(0.0, 0.4)
        now += step
        cpu += round(step * 1e9 * chance.choice([0, 0.1, 1, 2]))
        used.append((now, cpu))
        budget.observe(now, cpu)
        if (loan := budget.lend(now, chance.uniform(0, 5 * _MS))) is not None:
            open_loans.append(loan)
        if open_loans and chance.random() < 0.3:
            loan = open_loans.pop(chance.randrange(len(open_loans)))
            cost = chance.uniform(0, loan.ns)
            spent.append((now, cost))  # all of it at the last moment
            budget.settle(loan, now, cost)
    assert len(spent) > 100
    total = 0.0
    for end, _ in spent:
        begin = end - budget.window
        before = [c for at, c in used if at <= begin]
        until = [c for at, c in used if at <= end]
        cost = sum(ns for at, ns in spent if begin < at <= end)
        allowed = 0.001 * (until[-1] - (before[-1] if before else 0))
        assert cost <= allowed + _MS + 1
        total = max(total, cost)
    assert total > _MS
