# SPDX-License-Identifier: GPL-2.0-only
"""Translate short stores and copies by string instructions.

Generated code has no string instructions. One that repeats a known, small number
of times (compilers clear and copy structures so) is written out; after each
element the state is the one that an interrupt would have found there.
"""

from __future__ import annotations

from collections.abc import Sequence

from iced_x86 import Code, Instruction, MemoryOperand, Mnemonic, OpKind, Register

from ubypass.abi import ExitReason
from ubypass.translate.context import Context
from ubypass.translate.facts import Facts, Unsupported
from ubypass.translate.flags import settle
from ubypass.translate.registers import RAX, RCX, RDI, RSI, S0, gpr64, resized
from ubypass.translate.sandbox import anchor
from ubypass.translate.state import Loc, serves, shifted
from ubypass.translate.values import ensure

#: Elements that are written out.
_MOST = 32

#: iced code → bytes of an element, whether it is read from [rsi].
_FORMS = {
    Code.STOSB_M8_AL: (1, False),
    Code.STOSD_M32_EAX: (4, False),
    Code.STOSQ_M64_RAX: (8, False),
    Code.MOVSB_M8_M8: (1, True),
    Code.MOVSD_M32_M32: (4, True),
    Code.MOVSQ_M64_M64: (8, True),
}
_STORE = {1: Code.MOV_RM8_R8, 4: Code.MOV_RM32_R32, 8: Code.MOV_RM64_R64}
_LOAD = {1: Code.MOVZX_R32_RM8, 4: Code.MOV_R32_RM32, 8: Code.MOV_R64_RM64}
_AS = {1: Register.AL, 4: Register.EAX, 8: Register.RAX}


def is_string(facts: Facts) -> bool:
    """Whether this module has the rule for the instruction."""
    return facts.instruction.code in _FORMS


def elements(facts: Facts, earlier: Sequence[Facts]) -> int:
    """How many elements the instruction handles.

    ``earlier`` are the instructions before it in its block. Raises
    :class:`Unsupported` when that is not known, or too many.
    """
    if not facts.instruction.has_rep_prefix:
        return 1
    for before in reversed(earlier):
        if RCX not in before.writes:
            continue
        instruction = before.instruction
        if (
            instruction.mnemonic == Mnemonic.MOV
            and instruction.op0_register in (Register.ECX, Register.RCX)
            and instruction.op1_kind in (OpKind.IMMEDIATE32, OpKind.IMMEDIATE32TO64)
            and 0 < instruction.immediate(1) <= _MOST
        ):
            return int(instruction.immediate(1))
        break
    raise Unsupported("unknown or large number of repetitions")


def lower_string(context: Context, facts: Facts, count: int) -> None:
    """Emit ``count`` elements. Raises :class:`Unsupported`."""
    instruction = facts.instruction
    size, copies = _FORMS[instruction.code]
    _check(instruction, copies)
    state = context.state
    moving = (RDI, RSI) if copies else (RDI,)
    for user in (*moving, *(() if copies else (RAX,))):
        ensure(context, user)
    for user in moving:
        if not serves(state.intervals[user], 0, count * size):
            anchor(context, user)
    repeats = instruction.has_rep_prefix
    settle(context, (*moving, RCX) if repeats else moving)
    for done in range(count):
        if repeats:
            # As after an interrupt: the rest is still to do.
            state.loc[RCX] = Loc.S
            state.cx = count - done
            state.intervals[RCX] = None
        source = RAX
        if copies:
            source = S0
            context.code.fault(context.exit(ExitReason.FAULT))
            to = resized(_AS[max(size, 4)], S0)
            context.code.user(
                Instruction.create_reg_mem(_LOAD[size], to, _at(context, RSI))
            )
        context.code.fault(context.exit(ExitReason.FAULT))
        value = resized(_AS[size], source)
        context.code.user(
            Instruction.create_mem_reg(_STORE[size], _at(context, RDI), value)
        )
        for user in moving:
            host = context.homes.host[user]
            context.code.lea(host, host, size)
            state.written(user, shifted(state.intervals[user], size))
    if repeats:
        context.code.move_imm(RCX, 0)
        state.written(RCX)


def _at(context: Context, user: int) -> MemoryOperand:
    return MemoryOperand(gpr64(context.homes.host[user]))


def _check(instruction: Instruction, copies: bool) -> None:
    kinds = {instruction.op_kind(n) for n in range(instruction.op_count)}
    if OpKind.MEMORY_ESRDI not in kinds or (
        copies and OpKind.MEMORY_SEG_RSI not in kinds
    ):
        raise Unsupported("address of 32 bits")
    if instruction.segment_prefix != Register.NONE:
        raise Unsupported("string instruction with a segment prefix")
    if instruction.has_repne_prefix:
        raise Unsupported("prefix without meaning")
