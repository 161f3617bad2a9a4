# SPDX-License-Identifier: GPL-2.0-only
"""Translate ``lea``: arithmetic on addresses, no access.

A user register may be in another host register or spilled, so the address is computed
anew; results narrower than 64 bits are truncated as in the original.
"""

from __future__ import annotations

from iced_x86 import Code, Instruction, Register

from ubypass.translate.context import Context
from ubypass.translate.flags import materialize_flags
from ubypass.translate.insn_info import InsnInfo, Memory
from ubypass.translate.interval import SMALL, Interval, constant, shifted
from ubypass.translate.registers import resized, width
from ubypass.translate.sandbox import address_of, rebased
from ubypass.translate.spill import load, read_spilled, write_spilled

__all__ = ["lower_lea"]


def lower_lea(context: Context, info: InsnInfo) -> None:
    """Emit the ``lea``; the registers that it reads are in their host registers."""
    assert info.memory is not None
    memory = rebased(context, info.memory)
    operand = info.operands[0]
    materialize_flags(context, (operand.user,))
    size = width(operand.register)
    if size == 2:
        _narrow(context, operand.user, memory)
        return
    if size == 4 and not memory.narrow:
        memory = memory.narrowed()
    interval = SMALL if memory.narrow else _interval(context, memory)
    host = context.assignment.host[operand.user]
    if host < 0:
        _address(context, memory, context.s1)
        write_spilled(context, operand.user, context.s1)
        return
    to = context.s0 if _overwrites(context, memory, host) else host
    _address(context, memory, to)
    if to != host:
        context.code.move(host, context.s0)
    context.state.write(operand.user, interval)


def _overwrites(context: Context, memory: Memory, host: int) -> bool:
    """Whether loading a spilled base into ``host`` would overwrite the index."""
    return (
        memory.base is not None
        and memory.index is not None
        and context.assignment.spilled(memory.base)
        and context.assignment.host[memory.index] == host
    )


def _address(context: Context, memory: Memory, to: int) -> None:
    if memory.base is None and memory.index is None:
        mask = (1 << (32 if memory.narrow else 64)) - 1
        context.code.move_imm(to, memory.displacement & mask)
    else:
        address_of(context, memory, to)


def _interval(context: Context, memory: Memory) -> Interval | None:
    """A clamped base plus a constant, or a constant."""
    base = memory.base
    if base is None and memory.index is None:
        return constant(memory.displacement)
    if memory.index is not None or base is None or context.assignment.spilled(base):
        return None
    load(context, base)
    return shifted(context.state.intervals[base], memory.displacement)


def _narrow(context: Context, user: int, memory: Memory) -> None:
    """A 16-bit ``lea``: the upper bits of the register are preserved."""
    _address(context, memory.narrowed(), context.s0)
    host = context.assignment.host[user]
    to = host if host >= 0 else context.s1
    if host < 0:
        read_spilled(context, user, context.s1)
    context.code.user(
        Instruction.create_reg_reg(
            Code.MOV_RM16_R16,
            resized(Register.AX, to),
            resized(Register.AX, context.s0),
        )
    )
    if host < 0:
        write_spilled(context, user, context.s1)
    else:
        context.state.write(user)
