# SPDX-License-Identifier: GPL-2.0-only
"""Load and spill user registers: host registers, ``pt_regs``, scratch registers."""

from __future__ import annotations

from typing import Final

from ubypass.abi import FRAME_SYSFLAGS
from ubypass.translate.context import Context
from ubypass.translate.flags import clobber, materialize_flags
from ubypass.translate.invariant import require
from ubypass.translate.registers import R11, RCX, RSP, SLOT
from ubypass.translate.state import Loc, shifted

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

#: The user's flags as r11 after a system call has them, or a pushf: the arithmetic
#: ones, and the two bits that are always set (1 and IF); the others were checked to be
#: clear at the entry.
ARITHMETIC_FLAGS: Final = 0x8D5
SET_FLAGS: Final = 0x202


def load(context: Context, user: int) -> int:
    """Load ``user`` into its host register if that is stale; returns the register."""
    state = context.state
    host = context.assignment.host[user]
    require(host >= 0, "a spilled register has no host register")
    if user == R11:
        materialize_r11(context)
    if state.loc[user] == Loc.M:
        context.code.frame_load(host, SLOT[user])
        state.loc[user] = Loc.B
        state.intervals[user] = None
    elif state.loc[user] == Loc.S:
        require(user == RCX, "only rcx has a known value after a dispatch")
        context.code.move_imm(host, state.cx)
        state.loc[user] = Loc.H
        state.intervals[user] = None
    return host


def materialize_rsp(context: Context) -> None:
    """Add the offset to the host register of rsp, so that it is the user's rsp."""
    state = context.state
    host_rsp, offset = context.assignment.host_rsp, state.offset
    if not offset:
        return
    rebase_stack(context, offset)
    context.code.lea(host_rsp, host_rsp, offset)
    state.offset = 0


def rebase_stack(context: Context, amount: int) -> None:
    """Note that ``amount`` is going to be added to the host register of the user's
    rsp.
    """
    state = context.state
    remat = state.remat
    if remat is not None and RSP in remat.registers:
        moved = remat.moved(amount)
        if moved is None:
            materialize_flags(context, (RSP,))
        else:
            state.remat = moved
    if state.shown is not None:
        state.shown = state.shown.moved(amount)
    state.intervals[RSP] = shifted(state.intervals[RSP], amount)
    state.loc[RSP] = Loc.H
    state.returns = tuple((at - amount, value) for at, value in state.returns)


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
    context.state.loc[user] = Loc.M
    context.state.touched(user)


def materialize_r11(context: Context) -> None:
    """Store what the last system call left in r11, if it is not stored yet."""
    if context.state.loc[R11] != Loc.S:
        return
    clobber(context, context.s0)
    context.code.frame_load(context.s0, FRAME_SYSFLAGS)
    context.code.and_imm32(context.s0, ARITHMETIC_FLAGS)
    context.code.or_imm32(context.s0, SET_FLAGS)
    context.code.frame_store(SLOT[R11], context.s0)
    context.state.loc[R11] = Loc.M
