# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from ubypass.device.types import Stats
from ubypass.engine.savings import Savings


def _stats(dispatched: int, runs: int) -> Stats:
    return Stats(dispatched=dispatched, runs=runs)


def test_calls_keep_the_price_of_their_time() -> None:
    savings = Savings()
    savings.book(_stats(10, 2), 100.0, 40.0)
    assert savings.ns == 10 * 100 - 2 * 40
    savings.book(_stats(15, 3), 20.0, 30.0)
    assert savings.ns == 920 + 5 * 20 - 30
    savings.book(_stats(15, 3), 500.0, 0.0)
    assert savings.ns == 990


def test_calls_without_a_price_get_the_last_one_or_the_first() -> None:
    savings = Savings()
    savings.book(_stats(10, 2), None, None)
    assert savings.ns is None
    savings.book(_stats(11, 2), 10.0, 5.0)
    assert savings.ns == 11 * 10 - 2 * 5
    savings.book(_stats(20, 4), None, None)
    assert savings.ns == 100 + 9 * 10 - 2 * 5


def test_losses_count() -> None:
    savings = Savings()
    savings.book(_stats(1, 1), 10.0, 50.0)
    assert savings.ns == -40
