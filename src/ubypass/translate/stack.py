# SPDX-License-Identifier: GPL-2.0-only
"""Translate instructions that push and pop.

The access comes first and may fault; the user's rsp changes only afterwards, so that an
exit finds it unchanged.
"""

from __future__ import annotations

from typing import Final

from iced_x86 import Mnemonic, OpKind

from ubypass.abi import FRAME_FLAGS, FRAME_SYSFLAGS, ExitReason
from ubypass.translate.cached_address import CONSTANT
from ubypass.translate.context import Context
from ubypass.translate.flags import clobber, materialize_flags, to_host
from ubypass.translate.insn_info import InsnInfo, Memory, Unsupported
from ubypass.translate.interval import CLAMPED, serves, shifted
from ubypass.translate.invariant import require
from ubypass.translate.registers import R11, RBP, RSP
from ubypass.translate.sandbox import (
    guard_and_clamp,
    guard_and_clamp_host,
    load_word,
    resolve,
)
from ubypass.translate.spill import (
    ARITHMETIC_FLAGS,
    SET_FLAGS,
    load,
    materialize_r11,
    materialize_rsp,
    read_spilled,
    write_spilled,
)
from ubypass.translate.state import Flags, Loc
from ubypass.words import signed64

__all__ = ["STACK", "lower_stack", "move_stack", "push_constant", "stack_access"]

# An offset larger than this leaves too little room for displacements.
_FAR: Final = 1 << 16

STACK: Final = frozenset({Mnemonic.PUSH, Mnemonic.POP, Mnemonic.LEAVE, Mnemonic.PUSHFQ})


def lower_stack(context: Context, info: InsnInfo) -> None:
    """Emit a push, pop, leave or pushf. Raises :class:`Unsupported`."""
    mnemonic = info.instruction.mnemonic
    if mnemonic == Mnemonic.PUSH:
        _push(context, info)
    elif mnemonic == Mnemonic.POP:
        _pop(context, info)
    elif mnemonic == Mnemonic.PUSHFQ:
        _push_flags(context)
    else:
        _leave(context)


def stack_access(context: Context, displacement: int, size: int = 8) -> tuple[int, int]:
    """Make the user's ``[rsp + displacement]`` safe to access; returns the host
    register and the displacement to use.
    """
    host = load(context, RSP)
    displacement += context.state.offset
    if not serves(context.state.intervals[RSP], displacement, size):
        guard_and_clamp(context, RSP)
    return host, displacement


def move_stack(context: Context, amount: int) -> None:
    """Add to the user's rsp; emits nothing."""
    state = context.state
    state.move_stack(state.offset + amount)
    if abs(state.offset) > _FAR:
        materialize_rsp(context)


def push_constant(context: Context, value: int, scratch: int) -> None:
    """Push a 64-bit constant, through ``scratch`` if it is long."""
    host_rsp, at = stack_access(context, -8)
    signed = signed64(value)
    short = -(1 << 31) <= signed < 1 << 31
    if not short and not (
        scratch == context.s0 and context.cached_address() == (CONSTANT, value)
    ):
        context.code.move_imm(scratch, value)
        if scratch == context.s0:
            context.cache_address((CONSTANT, value))
    context.code.fault(context.exit(ExitReason.FAULT))
    if short:
        context.code.store_imm(host_rsp, at, signed)
    else:
        context.code.store(host_rsp, at, scratch)
    move_stack(context, -8)


def _push(context: Context, info: InsnInfo) -> None:
    instruction = info.instruction
    if instruction.op0_kind not in (OpKind.REGISTER, OpKind.MEMORY):
        push_constant(context, instruction.immediate(0) & ((1 << 64) - 1), context.s0)
        return
    if info.memory is not None:
        # First the access that may need the scratch register.
        stack_access(context, -8)
        load_word(context, info.memory, context.s1)
        source = context.s1
    else:
        user = info.operands[0].user
        if context.assignment.spilled(user):
            stack_access(context, -8)
            source = context.s1
            read_spilled(context, user, source)
        else:
            if user == RSP:
                materialize_rsp(context)
            source = load(context, user)
    host_rsp, at = stack_access(context, -8)
    context.code.fault(context.exit(ExitReason.FAULT))
    context.code.store(host_rsp, at, source)
    move_stack(context, -8)


def _push_flags(context: Context) -> None:
    """Push the flags that ``pushf`` shows a user program: the arithmetic flags, and the
    two bits that are always set. The entry checks that the others are clear.
    """
    code, state = context.code, context.state
    host_rsp, at = stack_access(context, -8)
    if state.flags == Flags.SYS:
        slot = FRAME_SYSFLAGS
    else:
        slot = FRAME_FLAGS
        to_host(context)
        code.save_flags(slot)
        # They may be read later, too.
        clobber(context, context.s1)
    code.frame_load(context.s0, slot)
    code.and_imm32(context.s0, ARITHMETIC_FLAGS)
    code.or_imm32(context.s0, SET_FLAGS)
    code.fault(context.exit(ExitReason.FAULT))
    code.store(host_rsp, at, context.s0)
    move_stack(context, -8)


def _pop(context: Context, info: InsnInfo) -> None:
    if info.memory is not None:
        _pop_memory(context, info.memory)
        return
    user = info.operands[0].user
    host_rsp, at = stack_access(context, 0)
    if user == RSP:
        _pop_stack(context, host_rsp, at)
        return
    materialize_flags(context, (user,))
    host = context.assignment.host[user]
    context.code.fault(context.exit(ExitReason.FAULT))
    context.code.load(host if host >= 0 else context.s1, host_rsp, at)
    if host >= 0:
        context.state.write(user)
    else:
        write_spilled(context, user, context.s1)
    move_stack(context, 8)


def _pop_memory(context: Context, memory: Memory) -> None:
    if memory.base == RSP:
        # The address uses rsp after the pop.
        memory = memory.at(memory.displacement + 8)
    if R11 in (memory.base, memory.index):
        materialize_r11(context)
    address = resolve(context, memory)
    if address.base < 0:
        raise Unsupported("pop into a thread-local variable")
    host_rsp, at = stack_access(context, 0)
    context.code.fault(context.exit(ExitReason.FAULT))
    context.code.load(context.s1, host_rsp, at)
    context.code.fault(context.exit(ExitReason.FAULT))
    context.code.store(address.base, address.displacement, context.s1)
    move_stack(context, 8)


def _pop_stack(context: Context, host_rsp: int, at: int) -> None:
    """pop rsp: rsp becomes the word to which it points."""
    materialize_flags(context, (RSP,))
    context.code.fault(context.exit(ExitReason.FAULT))
    context.code.load(host_rsp, host_rsp, at)
    context.state.write_stack()


def _leave(context: Context) -> None:
    """rsp = rbp + 8 and rbp = [rbp], the load first."""
    assignment, state, code = context.assignment, context.state, context.code
    materialize_flags(context, (RBP, RSP))
    if assignment.spilled(RBP):
        read_spilled(context, RBP, context.s1)
        clobber(context, context.s0)
        guard_and_clamp_host(context, context.s1, ExitReason.STACK)
        frame = context.s1
        interval = shifted(CLAMPED, 8)
    else:
        frame = load(context, RBP)
        if not serves(state.intervals[RBP], 0, 8):
            guard_and_clamp(context, RBP)
        interval = shifted(state.intervals[RBP], 8)
    code.fault(context.exit(ExitReason.FAULT))
    code.load(context.s0, frame, 0)
    code.lea(assignment.host_rsp, frame, 8)
    state.write_stack(interval)
    if assignment.spilled(RBP):
        write_spilled(context, RBP, context.s0)
    else:
        code.move(frame, context.s0)
        state.write(RBP)
    require(state.loc[RSP] == Loc.H, "rsp was not written")
