# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from ubypass.abi import TASK_SIZE_MIN
from ubypass.translate.interval import (
    CLAMPED,
    SMALL,
    constant,
    rounded_down,
    serves,
    shifted,
    union,
    within,
)


def test_intervals() -> None:
    assert shifted((0, 8, False, False), -8) == (-8, 0, False, False)
    assert shifted(None, 8) is None
    assert shifted((0, 0, False, False), 1 << 40) is None
    assert union((0, 0, False, False), (-8, 16, False, False)) == (-8, 16, False, False)
    assert union(None, (0, 0, False, False)) is None
    assert within((0, 0, False, False), (-8, 8, False, False))
    assert not within((0, 16, False, False), (-8, 8, False, False))
    assert not within(None, (0, 0, False, False))
    assert within(None, None)


def test_constants() -> None:
    assert constant(0) == constant((1 << 32) - 1) == SMALL
    assert constant(1 << 32) == constant(TASK_SIZE_MIN - 1) == CLAMPED
    assert constant(TASK_SIZE_MIN) is None
    assert constant(-8) == (-8, -8, False, True)
    assert constant(-(1 << 31)) is None


def test_guard() -> None:
    below, above = -(2 << 20), 2 << 30
    assert serves((0, 0, False, False), below, 8)
    assert not serves((-1, 0, False, False), below, 8)
    assert serves((0, 0, False, False), above - 8, 8)
    assert not serves((0, 1, False, False), above - 8, 8)
    assert not serves(None, 0, 1)


def test_rounding_down_takes_less_than_a_step() -> None:
    assert rounded_down((0, 8, False, True), 64) == (-63, 8, False, True)
    assert rounded_down(None, 64) is None
    assert rounded_down(CLAMPED, 0) is None
    assert rounded_down(CLAMPED, 1 << 21) is None
