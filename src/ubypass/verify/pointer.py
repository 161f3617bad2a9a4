# SPDX-License-Identifier: GPL-2.0-only
"""Addresses of user accesses: docs/abi.md, section 6 (rules *pointer*, *speculation*).

Depends on abstract values, not on how they were derived.
"""

from __future__ import annotations

from typing import Final

from ubypass import abi
from ubypass.verify.allowlist import GPR
from ubypass.verify.errors import Rule
from ubypass.verify.insn import Insn
from ubypass.verify.intervals import (
    BRANCHED,
    RELOADED,
    SMALL_END,
    Value,
    highest,
    interval,
)
from ubypass.verify.predicates import RCX_PAID
from ubypass.verify.program import Program

__all__ = ["check_bounds", "check_indexed", "check_string"]

_RSI: Final = 6
_RDI: Final = 7


def check_bounds(
    program: Program,
    at: int,
    register: int,
    value: Value,
    disp: int,
    size: int,
    end: int = abi.GUARD_HIGH,
) -> None:
    """Check that ``size`` bytes at ``[register + disp]`` are user or guard space
    up to ``end``.

    ``value`` is the register's abstract value. Raises VerifyError.
    """
    if isinstance(value, int) and 0 <= value + disp <= abi.TASK_SIZE_MIN - size:
        # A constant is known exactly, however far the displacement is.
        return
    bounds = interval(value)
    name = GPR[register]
    if bounds is None:
        if value is RELOADED or value is BRANCHED:
            rule, reason = Rule.SPECULATION, value.text
        else:
            rule, reason = Rule.POINTER, f"nothing is known about {name}"
        raise program.error(at, rule, reason)
    low = bounds[0] + disp
    high = highest(bounds) + disp + size
    if low < abi.GUARD_LOW or high > end:
        reason = f"{name} is clamped{bounds[0]:+#x}…{highest(bounds):+#x}, out of guard"
        raise program.error(at, Rule.POINTER, reason)


def check_string(
    program: Program, at: int, insn: Insn, known: int, values: list[Value]
) -> None:
    """Check the operands of a string instruction; ``known`` are the predicates. Raises
    VerifyError.
    """
    size = insn.size
    if insn.b:
        if not known & RCX_PAID:
            reason = "rcx is not paid: a repeat may take too long"
            raise program.error(at, Rule.BUDGET, reason)
        size *= abi.REP_MAX
    for register in (_RSI, _RDI):
        if insn.a >> register & 1:
            check_bounds(program, at, register, values[register], 0, size)


def check_indexed(program: Program, at: int, insn: Insn, values: list[Value]) -> None:
    """Check for a clamped base and a small index, in either order without a scale.

    Raises VerifyError.
    """
    base, index, scale = insn.base, insn.index, insn.scale
    bounds = interval(values[index])
    if scale == 1 and (bounds is None or not bounds[3]):
        base, index = index, base
        bounds = interval(values[index])
    if bounds is None or not bounds[3]:
        reason = f"{GPR[index]} may be too large for an index"
        raise program.error(at, Rule.POINTER, reason)
    low = bounds[0] * scale
    high = (highest(bounds) + SMALL_END) * scale
    disp = program.values[at]
    size = insn.size + high - low
    check_bounds(program, at, base, values[base], disp + low, size, abi.GUARD_FAR)
