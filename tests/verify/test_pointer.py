# SPDX-License-Identifier: GPL-2.0-only
"""Bounds of addresses, to the byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ubypass import abi
from ubypass.verify import predicates
from ubypass.verify.errors import Rule, VerifyError
from ubypass.verify.insn import Insn
from ubypass.verify.intervals import BRANCHED, RELOADED, SMALL_END, Value, highest
from ubypass.verify.pointer import check_bounds, check_indexed, check_string
from ubypass.verify.program import Program
from ubypass.verify.state import NO_VALUES

_CLAMPED = (0, 0, 0, False)
_SMALL = (0, 0, 0, True)


def _program(disp: int = 0) -> Program:
    return Program(b"\x90", insns=[Insn(1)], offsets=[0], values=[disp])


def _rule(value: Value, disp: int, size: int) -> Rule | None:
    try:
        check_bounds(_program(), 0, 7, value, disp, size)
    except VerifyError as error:
        return error.rule
    return None


def test_the_ends_of_the_guard() -> None:
    assert _rule(_CLAMPED, abi.GUARD_LOW, 1) is None
    assert _rule(_CLAMPED, abi.GUARD_LOW - 1, 1) is Rule.POINTER
    assert _rule(_CLAMPED, abi.GUARD_HIGH - 8, 8) is None
    assert _rule(_CLAMPED, abi.GUARD_HIGH - 7, 8) is Rule.POINTER
    assert _rule(None, 0, 1) is Rule.POINTER
    assert _rule(RELOADED, 0, 1) is Rule.SPECULATION
    assert _rule(BRANCHED, 0, 1) is Rule.SPECULATION
    assert _rule(1 << 63, 0, 1) is Rule.POINTER
    assert _rule(0x1000, 0, 1) is None


def test_a_constant_is_known_however_far_the_displacement_is() -> None:
    assert _rule(0x5000_0000_0000, -(1 << 31), 8) is None
    assert _rule(1 << 31, -(1 << 31), 8) is None
    # Below zero and above the limit only as far as guard space reaches.
    assert _rule(1 << 30, (-1 << 30) + abi.GUARD_LOW - 8, 8) is Rule.POINTER
    assert _rule(abi.TASK_SIZE_MIN - 8, abi.GUARD_HIGH, 8) is Rule.POINTER
    assert _rule(abi.TASK_SIZE_MIN - 8, 0, 8) is None
    assert _rule(0xFFFF_8000_0000_1000, -0x1000, 8) is Rule.POINTER


@given(
    st.integers(-(1 << 22), 1 << 22),
    st.integers(0, 1 << 31),
    st.integers(-(1 << 31), (1 << 31) - 1),
    st.sampled_from((1, 8, 64)),
)
def test_accepted_is_inside(low: int, width: int, disp: int, size: int) -> None:
    value = (low, low + width, low + width, False)
    inside = low + disp >= abi.GUARD_LOW
    inside = inside and highest(value) + disp + size <= abi.GUARD_HIGH
    assert (_rule(value, disp, size) is None) == inside


def _indexed(base: Value, index: Value, scale: int, disp: int) -> Rule | None:
    values = NO_VALUES.copy()
    values[7], values[1] = base, index
    insn = Insn(4, base=7, index=1, scale=scale, size=8)
    try:
        check_indexed(_program(disp), 0, insn, values)
    except VerifyError as error:
        return error.rule
    return None


@pytest.mark.parametrize(
    ("base", "index", "scale", "disp", "rule"),
    [
        (_CLAMPED, _SMALL, 8, 0, None),
        (_SMALL, _CLAMPED, 1, 0, None),
        (_SMALL, _CLAMPED, 2, 0, Rule.POINTER),
        (_CLAMPED, _CLAMPED, 1, 0, Rule.POINTER),
        (_CLAMPED, None, 1, 0, Rule.POINTER),
        (None, _SMALL, 1, 0, Rule.POINTER),
        (RELOADED, _SMALL, 1, 0, Rule.SPECULATION),
        (_CLAMPED, (-8, 0, 0, True), 8, abi.GUARD_LOW + 64, None),
        (_CLAMPED, (-8, 0, 0, True), 8, abi.GUARD_LOW + 63, Rule.POINTER),
        (_CLAMPED, SMALL_END - 1, 8, (1 << 31) - 1, None),
        (_CLAMPED, SMALL_END, 8, 0, Rule.POINTER),
    ],
)
def test_small_indexes(
    base: Value, index: Value, scale: int, disp: int, rule: Rule | None
) -> None:
    assert _indexed(base, index, scale, disp) is rule


def _string(value: Value, known: int, repeated: int) -> Rule | None:
    values = NO_VALUES.copy()
    values[7] = value
    insn = Insn(1, a=1 << 7, b=repeated, size=8)
    try:
        check_string(_program(), 0, insn, known, values)
    except VerifyError as error:
        return error.rule
    return None


def test_strings() -> None:
    high = abi.GUARD_HIGH - 8 * abi.REP_MAX
    assert _string(_CLAMPED, 0, 0) is None
    assert _string(_CLAMPED, 0, 1) is Rule.BUDGET
    assert _string(_CLAMPED, predicates.RCX_PAID, 1) is None
    assert _string((high, high, high, False), predicates.RCX_PAID, 1) is None
    high += 1
    assert _string((high, high, high, False), predicates.RCX_PAID, 1) is Rule.POINTER
    assert _string((high, high, high, False), 0, 0) is None
    assert _string(None, predicates.RCX_PAID, 1) is Rule.POINTER
