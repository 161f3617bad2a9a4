# SPDX-License-Identifier: GPL-2.0-only
"""Load and spill user registers: host registers, ``pt_regs``, scratch registers."""

from __future__ import annotations

from typing import Final

from ubypass.abi import FRAME_SYSFLAGS
from ubypass.translate.context import Context
from ubypass.translate.flags import clobber, materialize_flags
from ubypass.translate.invariant import require
from ubypass.translate.registers import R11, RCX, RSP, SLOT
from ubypass.translate.state import Loc

__all__ = [
    "ARITHMETIC_FLAGS",
    "SET_FLAGS",
    "load",
    "materialize_r11",
    "materialize_rsp",
    "read_spilled",
    "rebase_stack",
    "slot_written",
    "write_spilled",
]

#: The user's flags in r11 after a system call, or after a pushf: the arithmetic flags,
#: and the two bits that are always set (1 and IF); the entry checks that the others are
#: clear.
ARITHMETIC_FLAGS: Final = 0x8D5
SET_FLAGS: Final = 0x202


def load(context: Context, user: int) -> int:
    """Load ``user`` into its host register if that is stale; returns the register."""
    state = context.state
    host = context.assignment.host[user]
    require(host >= 0, "a spilled register has no host register")
    if user == R11:
        materialize_r11(context)
    loc = state.loc[user]
    if loc == Loc.M:
        context.code.frame_load(host, SLOT[user])
        state.load(user)
    elif loc == Loc.S:
        require(user == RCX, "only rcx has a known value after a dispatch")
        context.code.move_imm(host, state.cx)
        state.materialize(user)
    return host


def materialize_rsp(context: Context) -> None:
    """Add the offset to the host register of rsp, so that it is the user's rsp."""
    state = context.state
    host_rsp, offset = context.assignment.host_rsp, state.offset
    if not offset:
        return
    rebase_stack(context, offset)
    context.code.lea(host_rsp, host_rsp, offset)


def rebase_stack(context: Context, amount: int) -> None:
    """Note that ``amount`` is going to be added to the host register of the user's
    rsp, while the user's rsp is unchanged.
    """
    remat = context.state.remat
    if remat is not None and RSP in remat.registers and remat.moved(amount) is None:
        materialize_flags(context, (RSP,))
    context.state.rebase_stack(amount)


def read_spilled(context: Context, user: int, scratch: int) -> None:
    """Load a spilled user register into a scratch register."""
    if user == R11:
        materialize_r11(context)
    if context.cached_value() == user:
        if scratch != context.s1:
            context.code.move(scratch, context.s1)
        return
    context.code.frame_load(scratch, SLOT[user])
    if scratch == context.s1:
        context.cache_value(user)


def write_spilled(context: Context, user: int, scratch: int) -> None:
    """Store a scratch register to a spilled user register."""
    context.code.frame_store(SLOT[user], scratch)
    slot_written(context, user)
    if scratch == context.s1:
        context.cache_value(user)
    elif context.cached_value() == user:
        context.cache_value(-1)


def slot_written(context: Context, user: int) -> None:
    """The ``pt_regs`` slot of a spilled user register has its new value."""
    context.state.write_slot(user)


def materialize_r11(context: Context) -> None:
    """Store the value of r11 after the last system call, if not stored yet."""
    if context.state.loc[R11] != Loc.S:
        return
    clobber(context, context.s0)
    context.code.frame_load(context.s0, FRAME_SYSFLAGS)
    context.code.and_imm32(context.s0, ARITHMETIC_FLAGS)
    context.code.or_imm32(context.s0, SET_FLAGS)
    context.code.frame_store(SLOT[R11], context.s0)
    context.state.spill(R11)
