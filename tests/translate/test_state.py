# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from ubypass.abi import BUDGET_MAX, GROWTH, TASK_SIZE_MIN
from ubypass.region.liveness import ARITHMETIC
from ubypass.translate.registers import RAX, RBX
from ubypass.translate.shown import EQUAL, SYSTEM, Shown
from ubypass.translate.state import (
    CLAMPED,
    CONSTANT,
    SMALL,
    THREAD,
    Flags,
    Loc,
    State,
    address_sum,
    constant,
    depends,
    distance_behind,
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


def test_what_the_budget_paid_for_is_part_of_the_guard() -> None:
    state = State()
    state.intervals[3] = (0, 8, False, False)
    state.charged(4)
    paid = (0, 0, True, False)
    assert state.intervals[3] == paid
    assert not within(paid, (0, 0, False, False))
    assert within((0, 0, False, False), paid)
    top = (2 << 30) - GROWTH * BUDGET_MAX
    assert serves(paid, top - 8, 8)
    assert not serves(paid, top - 7, 8)
    state.new_segment()
    assert state.intervals[3] is None


def test_copies_are_independent() -> None:
    one = State()
    two = one.copy()
    assert one.same(two)
    two.written(3, (0, 0, False, False))
    assert not one.same(two)
    assert one.loc[3] == Loc.M


def test_rounding_down_takes_less_than_a_step() -> None:
    assert rounded_down((0, 8, False, True), 64) == (-63, 8, False, True)
    assert rounded_down(None, 64) is None
    assert rounded_down(CLAMPED, 0) is None
    assert rounded_down(CLAMPED, 1 << 21) is None


def test_what_is_cached_serves_what_lies_behind_it() -> None:
    cached = address_sum(3, 2, 8, -16)
    assert distance_behind(cached, address_sum(3, 2, 8, -16)) == 0
    assert distance_behind(cached, address_sum(3, 2, 8, 16)) == 32
    assert distance_behind(cached, address_sum(3, 2, 8, -17)) == -1
    for other in ((3, 2, 4, 0), (2, 3, 8, 0), (3, -1, 8, 0), (0, 2, 8, 0)):
        assert distance_behind(cached, address_sum(*other)) == -1
    assert distance_behind((CONSTANT, cached[1]), cached) == -1


def test_what_is_cached_depends_on_its_registers() -> None:
    cached = address_sum(3, 2, 8, -16)
    assert [user for user in range(16) if depends(cached, user)] == [2, 3]
    assert [user for user in range(16) if depends(address_sum(0, -1, 1, 0), user)] == [
        0
    ]
    assert [user for user in range(16) if depends((THREAD, 5), user)] == [5]
    assert not any(depends((CONSTANT, 5), user) for user in range(16))
    state = State()
    state.cached_address = cached
    state.touched(1)
    assert state.cached_address == cached
    state.touched(2)
    assert state.cached_address is None


def test_flags_after_a_part_of_them_was_set() -> None:
    state = State()
    assert not state.exact
    # Those that were given up are not right because others are.
    state.flags_from(None, ARITHMETIC & ~1)
    assert state.flags == Flags.HOST
    assert (state.stale, state.exact) == (ARITHMETIC & 1, False)
    state.flags_from(None, ARITHMETIC)
    assert state.exact
    state.flags_from(None, 2)
    assert state.exact
    state.flags = Flags.DEAD
    assert not state.exact


def test_what_an_exit_shows_depends_on_registers() -> None:
    state = State()
    state.shown = Shown(EQUAL.steps, frozenset({RBX}))
    state.written(RAX)
    assert state.shown is not None
    state.written(RBX)
    assert state.shown is None
    state.shown = Shown(SYSTEM.steps, frozenset({RBX}), equal=True)
    state.changing(RBX)
    assert state.shown == EQUAL
