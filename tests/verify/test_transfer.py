# SPDX-License-Identifier: GPL-2.0-only
"""Effects of instructions on the abstract state."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ubypass import abi
from ubypass.verify import predicates
from ubypass.verify.insn import Insn, Op
from ubypass.verify.intervals import BRANCHED, CLAMPED, RELOADED, Value, highest
from ubypass.verify.state import NO_VALUES, State
from ubypass.verify.transfer import charge, not_above, transfer

_WRITES = ((1, False),)


def _values(value: Value) -> list[Value]:
    values = NO_VALUES.copy()
    values[1] = value
    return values


def _after(insn: Insn, number: int, value: Value, known: int = 0) -> Value:
    values = _values(value)
    transfer(insn, number, known, values)
    return values[1]


def _insn(op: Op, b: int = 1) -> Insn:
    return Insn(4, op=op, a=1, b=b, keeps=~2, writes=_WRITES)


@pytest.mark.parametrize(
    ("insn", "number", "after"),
    [
        (_insn(Op.SHIFT), 8, (8, 8, 8, False)),
        (_insn(Op.ALIGN), 16, (-15, 0, 0, False)),
        (_insn(Op.CONST, 0xFFFF_FFFF), -1, 0xFFFF_FFFF),
        (_insn(Op.CONST, (1 << 64) - 1), -1, (1 << 64) - 1),
        (_insn(Op.SMALL, 0x80), 8, (-0x80, -0x80, -0x80, True)),
        (_insn(Op.GENERIC), 0, None),
        (_insn(Op.RELOAD), 0, RELOADED),
        (_insn(Op.COPY, 2), 0, None),
    ],
)
def test_results(insn: Insn, number: int, after: Value) -> None:
    assert _after(insn, number, (0, 0, 0, False)) == after


def test_clamp_needs_the_compare() -> None:
    clamp = _insn(Op.CLAMP)
    assert _after(clamp, 0, None) is None
    assert _after(clamp, 0, None, known=2) == (0, 0, 0, False)
    assert _after(clamp, 0, None, known=4) is None


def test_not_above_is_for_what_was_compared() -> None:
    values = _values(BRANCHED)
    values[3], values[4] = RELOADED, 5
    not_above(1 << 1 | 1 << 4 | predicates.DEFINED, values)
    assert values[1] == values[4] == CLAMPED
    assert values[3] is RELOADED
    assert [number for number in range(16) if values[number] == CLAMPED] == [1, 4]


def test_zero_extension() -> None:
    extended = Insn(2, op=Op.GENERIC, writes=((1, True),))
    assert _after(extended, 0, None) == (0, 0, 0, True)


def test_a_copy_is_compared_as_well() -> None:
    copy = Insn(3, op=Op.COPY, a=1, b=2, keeps=~2, writes=_WRITES)
    assert transfer(copy, 0, 4, NO_VALUES.copy()) == 6
    assert transfer(copy, 0, 2, NO_VALUES.copy()) == 0


def test_the_slot_of_rsp_is_trusted_until_written() -> None:
    load = _insn(Op.USER_RSP)
    assert _after(load, 0, None, predicates.USER_RSP) == (0, 0, 0, False)
    assert _after(load, 0, None) is RELOADED


def test_branch_is_remembered_as_no_clamp() -> None:
    above = Insn(2, op=Op.ABOVE, keeps=~0)
    values = _values(None)
    assert transfer(above, 0, 2, values) == 2
    assert values[1] is BRANCHED
    assert values[2] is None


def _loop(amount: int, by: int) -> Value:
    """Register 1 at the start of a loop that charges and moves it."""
    move = _insn(Op.SHIFT)
    state = State(0, _values((0, 0, 0, False)))
    for _ in range(100):
        around = state.values.copy()
        if amount:
            charge(amount, around)
        transfer(move, by, 0, around)
        if not state.join(0, around):
            return state.values[1]
    raise AssertionError("no fixpoint")


def test_a_loop_that_pays_keeps_what_it_moves() -> None:
    value = _loop(4, 8)
    assert isinstance(value, tuple)
    assert value[0] == 0
    assert value[2] == 8
    assert highest(value) == 8 + abi.GROWTH * abi.BUDGET_MAX


def test_a_loop_that_pays_too_little_keeps_nothing() -> None:
    assert _loop(0, 8) is None
    assert _loop(4, 4 * abi.GROWTH + 8) is None


def test_a_loop_that_moves_down_keeps_nothing() -> None:
    assert _loop(4, -8) is None


@given(st.lists(st.tuples(st.integers(1, 8), st.integers(-300, 300)), max_size=40))
def test_paid_bounds_every_walk(steps: list[tuple[int, int]]) -> None:
    values, taken, moved = _values((0, 0, 0, False)), 0, 0
    for amount, by in steps:
        charge(amount, values)
        transfer(_insn(Op.SHIFT), by, 0, values)
        taken, moved = taken + amount, moved + by
        value = values[1]
        assert isinstance(value, tuple)
        assert value[0] <= moved <= value[1]
        assert moved <= value[2] + abi.GROWTH * taken
