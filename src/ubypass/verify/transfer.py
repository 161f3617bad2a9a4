# SPDX-License-Identifier: GPL-2.0-only
"""The transfer function: the effect of one instruction on the abstract state.

Preconditions are checked by the caller (:mod:`.flow`). The default is to forget: a
written register is unknown and a predicate is dropped unless it is kept explicitly.
"""

from __future__ import annotations

from typing import Final

from ubypass.abi import REP_MAX
from ubypass.verify.insn import Insn, Op
from ubypass.verify.intervals import (
    BRANCHED,
    CLAMPED,
    NATURAL,
    RELOADED,
    Value,
    align,
    charged,
    shift,
)
from ubypass.verify.predicates import COMPARED, RCX_COMPARED, USER_RSP

__all__ = ["charge", "not_above", "transfer"]

_GENERIC: Final = Op.GENERIC
_CONST: Final = Op.CONST
_COPY: Final = Op.COPY
_SHIFT: Final = Op.SHIFT
_ALIGN: Final = Op.ALIGN
_CLAMP: Final = Op.CLAMP
_COUNT: Final = Op.COUNT
_STRING: Final = Op.STRING
_RELOAD: Final = Op.RELOAD
_USER_RSP: Final = Op.USER_RSP
_ABOVE: Final = Op.ABOVE
_SMALL: Final = Op.SMALL
_RSI: Final = 6
_RDI: Final = 7


def transfer(insn: Insn, value: int, known: int, values: list[Value]) -> int:
    """Updates ``values`` for ``insn``; returns the predicates that hold afterwards.

    ``value`` is the instruction's value. Not for dispatches and exit stubs.
    """
    after = known & insn.keeps | insn.sets
    op = insn.op
    if op is _GENERIC:
        for number, extended in insn.writes:
            values[number] = NATURAL if extended else None
    elif op is _COPY:
        values[insn.a] = values[insn.b]
        if known >> insn.b & 1:
            after |= 1 << insn.a
    elif op is _SHIFT:
        values[insn.a] = shift(values[insn.b], value)
    elif op is _RELOAD:
        values[insn.a] = RELOADED
    elif op is _CLAMP:
        values[insn.a] = CLAMPED if known >> insn.a & 1 else None
    elif op is _CONST:
        values[insn.a] = value & insn.b
    elif op is _USER_RSP:
        values[insn.a] = CLAMPED if known & USER_RSP else RELOADED
    elif op is _SMALL:
        values[insn.a] = shift(NATURAL, -insn.b)
    elif op is _ALIGN:
        values[insn.a] = align(values[insn.a], value)
    elif op is _ABOVE:
        _above(known, values)
    elif op is _COUNT:
        if 0 <= value <= REP_MAX:
            after |= RCX_COMPARED
    elif op is _STRING:
        _string(insn, values)
    return after


def _above(known: int, values: list[Value]) -> None:
    """Marks registers that were only compared, for the error message."""
    compared = known & COMPARED
    number = 0
    while compared:
        if compared & 1 and (values[number] is None or values[number] is RELOADED):
            values[number] = BRANCHED
        compared >>= 1
        number += 1


def not_above(known: int, values: list[Value]) -> None:
    """A branch found the last compare with LIMIT not above: the registers that still
    hold the compared value are user addresses. Not in speculation, so only for the
    translations of trusted programs.
    """
    for number in range(16):
        if known >> number & 1:
            values[number] = CLAMPED


def _string(insn: Insn, values: list[Value]) -> None:
    """Pointers increase by one element; with rep they become unknown."""
    before = values.copy()
    for number, extended in insn.writes:
        values[number] = NATURAL if extended else None
    for number in (_RSI, _RDI):
        if insn.a >> number & 1 and not insn.b:
            values[number] = shift(before[number], insn.size)


def charge(amount: int, values: list[Value]) -> None:
    """Charges ``amount`` to the budget."""
    for number in range(16):
        value = values[number]
        if isinstance(value, tuple):
            values[number] = charged(value, amount)
