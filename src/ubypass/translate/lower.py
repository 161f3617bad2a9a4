# SPDX-License-Identifier: GPL-2.0-only
"""Translate one user instruction that neither branches nor moves the stack."""

from __future__ import annotations

from typing import Final

from iced_x86 import Instruction, Mnemonic, OpKind, Register

from ubypass.abi import ExitReason
from ubypass.translate.context import Context
from ubypass.translate.emit import encoded
from ubypass.translate.flags import materialize_flags, to_host
from ubypass.translate.insn_info import SILENT, InsnInfo, Unsupported, alignment
from ubypass.translate.invariant import require
from ubypass.translate.lea import lower_lea
from ubypass.translate.registers import (
    R11,
    RAX,
    RSP,
    SLOT,
    gpr64,
    resized,
    width,
)
from ubypass.translate.remat import remat_of
from ubypass.translate.sandbox import (
    Address,
    displacement_size,
    indexed,
    resolve,
)
from ubypass.translate.shown import shown_after
from ubypass.translate.spill import (
    load,
    materialize_r11,
    materialize_rsp,
    read_spilled,
    slot_written,
    write_spilled,
)
from ubypass.translate.state import (
    SMALL,
    Flags,
    Interval,
    Loc,
    constant,
    rounded_down,
    shifted,
)
from ubypass.translate.x87 import note_pointer

__all__ = ["lower"]

_MOV: Final[int] = Mnemonic.MOV
_LEA: Final[int] = Mnemonic.LEA
_ADD: Final[int] = Mnemonic.ADD
_SUB: Final[int] = Mnemonic.SUB
_INC: Final[int] = Mnemonic.INC
_DEC: Final[int] = Mnemonic.DEC
_AND: Final[int] = Mnemonic.AND
_SHR: Final[int] = Mnemonic.SHR
_MOVZX: Final[int] = Mnemonic.MOVZX
_MOVSX: Final[int] = Mnemonic.MOVSX
#: Instructions after which the interval of the first operand is known.
_DERIVES: Final = frozenset({_MOV, _ADD, _SUB, _INC, _DEC, _AND, _SHR, _MOVZX, _MOVSX})


def lower(context: Context, info: InsnInfo, live_after: int) -> None:
    """Emit the instruction of ``info``; ``live_after`` are the flags live behind it.

    Raises :class:`Unsupported` or ValueError; what was emitted by then has to be
    forgotten.
    """
    if info.mnemonic in SILENT:
        return
    state = context.state
    if R11 in info.reads:
        materialize_r11(context)
    if info.stack:
        if _move_stack(context, info, live_after):
            return
        materialize_rsp(context)
    if info.mnemonic == _MOV and _move(context, info):
        return
    if info.implied & context.assignment.away:
        raise Unsupported("implicit operand whose register is taken")
    address = None
    memory = info.memory
    if memory is not None and memory.access:
        address = indexed(context, memory) or resolve(context, memory)
    for user in info.reads:
        if context.assignment.host[user] >= 0:
            load(context, user)
    if memory is not None and not memory.access:
        lower_lea(context, info)
        return
    if address is None:
        at, free = (-1, 0, -1), [context.s0, context.s1]
    else:
        at = address.base, address.displacement, address.index
        free = [context.s1] if address.scratch else [context.s0, context.s1]
    stored: dict[int, int] = {}
    unmoved = not info.named & context.assignment.away
    if unmoved and address is None:
        code = info.plain
        if not code:
            code = info.plain = encoded(info.instruction)
    elif unmoved:
        code = info.codes.get(at, b"")
        if not code:
            code = encoded(_placed(info, address))
            info.codes[at] = code
    else:
        instruction = _placed(info, address).copy()
        stored = _operands(context, info, instruction, free)
        code = encoded(instruction)
    scratch = free[-1] if free else None
    if state.remat is not None:
        materialize_flags(context, info.writes, scratch)
    use = info.flags
    # Flags that are read here, or live flags that a partial update keeps.
    if use.reads or (use.changes and live_after & ~use.kills):
        require(state.flags != Flags.DEAD, "dead flags are read")
        to_host(context, scratch)
    if address is not None or info.faults:
        context.code.fault(context.exit(ExitReason.FAULT))
    context.code.code += code
    if info.pointer:
        note_pointer(context)
    for user, register in stored.items():
        write_spilled(context, user, register)
    _intervals(context, info)
    if use.changes:
        shown = shown_after(info, state.shown, state.offset)
        state.flags_from(shown, use.kills)
        if not unmoved:
            state.remat = remat_of(info, context.assignment, code)
        else:
            if not info.remat:
                info.remat.append(remat_of(info, context.assignment, code))
            state.remat = info.remat[0]


def _placed(info: InsnInfo, address: Address | None) -> Instruction:
    """The instruction with ``address`` as its memory operand."""
    instruction, memory = info.instruction, info.memory
    if (
        address is None
        or memory is None
        or address.base < 0
        or (
            address.base == memory.base
            and address.displacement == memory.displacement
            and (memory.index is None or address.index == memory.index)
            and not memory.narrow
            and instruction.segment_prefix == Register.NONE
        )
    ):
        return instruction
    instruction = instruction.copy()
    instruction.segment_prefix = Register.NONE
    instruction.memory_base = gpr64(address.base)
    if address.index < 0:
        instruction.memory_index = Register.NONE
        instruction.memory_index_scale = 1
    else:
        instruction.memory_index = gpr64(address.index)
    instruction.memory_displacement = address.displacement & ((1 << 64) - 1)
    instruction.memory_displ_size = displacement_size(address.displacement)
    return instruction


def _operands(
    context: Context, info: InsnInfo, instruction: Instruction, free: list[int]
) -> dict[int, int]:
    """Put host registers into ``instruction``; returns the scratch registers
    that have to be stored afterwards, by user register.
    """
    given: dict[int, int] = {}
    stored: dict[int, int] = {}
    cached_value = context.cached_value()
    if cached_value in info.registers and context.s1 in free:
        free.remove(context.s1)
        given[cached_value] = context.s1
    for operand in info.operands:
        host = context.assignment.host[operand.user]
        if host < 0:
            if operand.user not in given:
                if not free:
                    raise Unsupported("more spilled registers than scratch registers")
                given[operand.user] = free.pop()
                context.code.written |= 1 << given[operand.user]
                if any(o.reads for o in info.operands if o.user == operand.user):
                    read_spilled(context, operand.user, given[operand.user])
            host = given[operand.user]
            if operand.writes:
                stored[operand.user] = host
        if host != operand.user:
            register = resized(operand.register, host)
            instruction.set_op_register(operand.operand, register)
    return stored


def _move(context: Context, info: InsnInfo) -> bool:
    """Moves from ``pt_regs``, or of 64 bits to it, need no scratch register."""
    if info.memory is not None or len(info.operands) != 2:
        return False
    to, source = (operand.user for operand in info.operands)
    spilled = context.assignment.spilled
    if to == source:
        return False
    if info.instruction.op0_register not in _WIDE:
        return _move_half(context, info, to, source)
    if not spilled(to) and context.state.loc[source] != Loc.M:
        return False
    materialize_flags(context, (to,))
    if not spilled(to):
        read_spilled(context, source, context.assignment.host[to])
        context.state.written(to)
    elif spilled(source):
        read_spilled(context, source, context.s1)
        write_spilled(context, to, context.s1)
    else:
        write_spilled(context, to, load(context, source))
    return True


def _move_half(context: Context, info: InsnInfo, to: int, source: int) -> bool:
    """Only from the slot, and to a host register: that extends it with zeroes."""
    if (
        info.operands[0].register not in _HALVES
        or context.assignment.spilled(to)
        or context.state.loc[source] != Loc.M
        or context.cached_value() == source
    ):
        return False
    materialize_flags(context, (to,))
    context.code.frame_load32(context.assignment.host[to], SLOT[source])
    context.state.written(to, SMALL)
    return True


def _move_stack(context: Context, info: InsnInfo, live_after: int) -> bool:
    """rsp plus or minus a constant only changes the offset from its host register.

    The flags are not set: they are dead, or rematerialized when needed.
    """
    mnemonic = info.mnemonic
    if mnemonic == _LEA:
        return _lea_stack(context, info)
    if mnemonic == _MOV:
        return _copy_stack(context, info)
    if mnemonic not in (_ADD, _SUB):
        return False
    if info.memory is not None or len(info.operands) != 1:
        return False
    if info.operands[0].register != Register.RSP:
        return False
    load(context, RSP)
    remat = remat_of(info, context.assignment, b"")
    if remat is None:
        return False
    amount = -remat.immediate
    if mnemonic == _ADD:
        amount = remat.immediate
    state = context.state
    if abs(state.offset + amount) > _FAR:
        return False
    # Relative to the host register, which stays where it is.
    remat = remat.moved(-(state.offset + amount))
    if remat is None:
        return False
    state.offset += amount
    state.loc[RSP] = Loc.H
    state.remat = remat
    state.flags = Flags.REMAT if live_after else Flags.DEAD
    state.shown = shown_after(info, None, state.offset)
    state.stale = 0
    return True


def _copy_stack(context: Context, info: InsnInfo) -> bool:
    """A copy of rsp: its host register stays where it is."""
    instruction, state = info.instruction, context.state
    if (
        len(info.operands) != 2
        or instruction.op0_register not in _WIDE
        or instruction.op1_register != Register.RSP
        or not state.offset
    ):
        return False
    user = info.operands[0].user
    if user == RSP:
        return False
    host_rsp = load(context, RSP)
    materialize_flags(context, (user,))
    host = context.assignment.host[user]
    if host < 0:
        context.code.lea(context.s1, host_rsp, state.offset)
        write_spilled(context, user, context.s1)
    else:
        context.code.lea(host, host_rsp, state.offset)
        state.written(user, shifted(state.intervals[RSP], state.offset))
    return True


def _lea_stack(context: Context, info: InsnInfo) -> bool:
    memory = info.memory
    assert memory is not None
    if info.operands[0].register != Register.RSP or memory.base != RSP:
        return False
    amount = context.state.offset + memory.displacement
    if memory.index is not None or memory.narrow or abs(amount) > _FAR:
        return False
    load(context, RSP)
    context.state.offset = amount
    context.state.loc[RSP] = Loc.H
    return True


# An offset larger than this leaves too little room for displacements.
_FAR: Final = 1 << 16
_WIDE: Final = frozenset(gpr64(number) for number in range(16))
_HALVES: Final = frozenset(resized(Register.EAX, number) for number in range(16))
_SPREAD: Final = frozenset({Mnemonic.CWD, Mnemonic.CDQ, Mnemonic.CQO})


def _intervals(context: Context, info: InsnInfo) -> None:
    """Registers were written: update their locations and intervals."""
    if not info.writes:
        return
    state, host = context.state, context.assignment.host
    # Before the first change: it may be derived from what is overwritten.
    derived = _derived(context, info)
    for user in info.writes:
        if host[user] < 0:
            slot_written(context, user)
        else:
            state.written(user, SMALL if user in info.extended else None)
    if info.mnemonic in _SPREAD:
        # The verifier's decoder reports a write of rax, which is only read.
        state.intervals[RAX] = None
    if derived is not None:
        state.intervals[info.operands[0].user] = derived
    elif info.mnemonic == _MOV and len(info.operands) == 2:
        to, source = info.operands
        if (
            to.register in _WIDE
            and source.register in _WIDE
            and host[to.user] == to.user
            and host[source.user] == source.user
            and to.user != source.user
        ):
            state.copied(to.user, source.user)


def _derived(context: Context, info: InsnInfo) -> Interval | None:
    """The interval of the first operand, derived from those of the sources."""
    mnemonic = info.mnemonic
    if mnemonic not in _DERIVES or not info.operands:
        return None
    first = info.operands[0]
    if (
        first.operand != 0
        or first.register not in _WIDE
        or context.assignment.spilled(first.user)
    ):
        return None
    interval = context.state.intervals[first.user]
    if mnemonic == _INC:
        return shifted(interval, 1)
    if mnemonic == _DEC:
        return shifted(interval, -1)
    if mnemonic == _MOV and len(info.operands) == 2:
        source = info.operands[1].user
        if context.assignment.spilled(source):
            return None
        return context.state.intervals[source]
    if mnemonic in (_MOVZX, _MOVSX):
        return _extended(info)
    instruction = info.instruction
    if instruction.op1_kind not in _IMMEDIATES:
        return None
    value: int = instruction.immediate(1)
    value = value - (1 << 64) if value >> 63 else value
    if mnemonic == _MOV:
        return constant(value)
    if mnemonic in (_ADD, _SUB):
        return shifted(interval, value if mnemonic == _ADD else -value)
    if mnemonic == _AND and value < 0:
        interval = context.state.intervals[first.user]
        return rounded_down(interval, alignment(instruction))
    small = (mnemonic == _AND and value >= 0) or (mnemonic == _SHR and value & 63 >= 32)
    return SMALL if small else None


def _extended(info: InsnInfo) -> Interval | None:
    """The interval of an extension from 8 or 16 to 64 bits."""
    if info.memory is not None:
        if info.memory.fs:
            # The verifier has no interval for a load from fs.
            return None
        size = info.memory.size
    else:
        size = width(info.operands[1].register)
    if info.mnemonic == _MOVSX:
        return shifted(SMALL, -(1 << 8 * size - 1))
    return SMALL


_IMMEDIATES: Final = frozenset(
    {
        OpKind.IMMEDIATE8,
        OpKind.IMMEDIATE8TO64,
        OpKind.IMMEDIATE32TO64,
        OpKind.IMMEDIATE64,
    }
)
