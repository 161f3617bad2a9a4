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
from ubypass.translate.interval import SMALL, Interval, constant, rounded_down, shifted
from ubypass.translate.invariant import require
from ubypass.translate.lea import lower_lea
from ubypass.translate.memo import remember
from ubypass.translate.registers import (
    R11,
    RAX,
    RSP,
    SLOT,
    gpr64,
    resized,
    width,
)
from ubypass.translate.remat import Remat, remat_of
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
from ubypass.translate.state import Flags, Loc
from ubypass.translate.x87 import note_pointer
from ubypass.words import signed64

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


#: By info and address (host register, displacement, index).
_encodings: dict[tuple[int, int, int, int], bytes] = {}
#: How to rematerialize the flags of an instruction all of whose registers keep their
#: names, by its info.
_remats: dict[int, tuple[Remat | None]] = {}


def lower(context: Context, info: InsnInfo, live_after: int) -> None:
    """Emit the instruction of ``info``; ``live_after`` are the flags live behind it.

    Raises :class:`Unsupported` or ValueError; the code emitted before has to be
    discarded.
    """
    mnemonic = info.mnemonic
    if mnemonic in SILENT:
        return
    if R11 in info.reads:
        materialize_r11(context)
    if (info.stack or mnemonic == _MOV) and _without_operands(
        context, info, live_after
    ):
        return
    if info.implied & context.assignment.away:
        raise Unsupported("implicit operand whose register is taken")
    address = None
    memory, host = info.memory, context.assignment.host
    if memory is not None and memory.access:
        address = indexed(context, memory) or resolve(context, memory)
    for user in info.reads:
        if host[user] >= 0:
            load(context, user)
    if address is None and memory is not None:
        lower_lea(context, info)
        return
    if address is None:
        free = [context.s0, context.s1]
    else:
        free = [context.s1] if address.scratch else [context.s0, context.s1]
    stored: dict[int, int] = {}
    unmoved = not info.named & context.assignment.away
    if unmoved:
        code = _encoded_in_place(info, address)
    else:
        instruction = _placed(info, address).copy()
        stored = _operands(context, info, instruction, free)
        code = encoded(instruction)
    use = info.flags
    if context.state.remat is not None or use.reads or use.changes:
        _flags_before(context, info, live_after, free[-1] if free else None)
    if address is not None or info.faults:
        context.code.fault(context.exit(ExitReason.FAULT))
    context.code.raw(code)
    if info.pointer:
        note_pointer(context)
    for user, register in stored.items():
        write_spilled(context, user, register)
    _intervals(context, info)
    if use.changes:
        _flags_after(context, info, code, unmoved)


def _without_operands(context: Context, info: InsnInfo, live_after: int) -> bool:
    """Emit an instruction that needs no operands in host registers (a move of the
    user's rsp, or from or to ``pt_regs``); whether it is one.
    """
    if info.stack:
        if _move_stack(context, info, live_after):
            return True
        materialize_rsp(context)
    return info.mnemonic == _MOV and _move(context, info)


def _encoded_in_place(info: InsnInfo, address: Address | None) -> bytes:
    """The encoding with each register in the host register of its name; cached."""
    if address is None:
        at = info.serial, -1, 0, -1
    else:
        at = info.serial, address.base, address.displacement, address.index
    code = _encodings.get(at)
    if code is None:
        code = remember(_encodings, at, encoded(_placed(info, address)))
    return code


def _flags_before(
    context: Context, info: InsnInfo, live_after: int, scratch: int | None
) -> None:
    """Move the user's flags to the place that the instruction needs."""
    state = context.state
    if state.remat is not None:
        materialize_flags(context, info.writes, scratch)
    use = info.flags
    # Flags that are read here, or live flags that a partial update keeps.
    if use.reads or (use.changes and live_after & ~use.kills):
        require(state.flags != Flags.DEAD, "dead flags are read")
        to_host(context, scratch)


def _flags_after(context: Context, info: InsnInfo, code: bytes, unmoved: bool) -> None:
    """The instruction, emitted as ``code``, has set flags."""
    state, use = context.state, info.flags
    shown = shown_after(info, state.shown, state.offset)
    state.set_flags(shown, use.kills)
    if not unmoved:
        state.set_remat(remat_of(info, context.assignment, code))
    else:
        found = _remats.get(info.serial)
        if found is None:
            made = remat_of(info, context.assignment, code)
            found = remember(_remats, info.serial, (made,))
        state.set_remat(found[0])


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
                context.code.note_write(given[operand.user])
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
    """Moves from ``pt_regs``, or 64-bit moves to it, need no scratch register."""
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
        context.state.write(to)
    elif spilled(source):
        read_spilled(context, source, context.s1)
        write_spilled(context, to, context.s1)
    else:
        write_spilled(context, to, load(context, source))
    return True


def _move_half(context: Context, info: InsnInfo, to: int, source: int) -> bool:
    """A 32-bit move, only from the slot to a host register: zero-extends."""
    if (
        info.operands[0].register not in _HALVES
        or context.assignment.spilled(to)
        or context.state.loc[source] != Loc.M
        or context.cached_value() == source
    ):
        return False
    materialize_flags(context, (to,))
    context.code.frame_load32(context.assignment.host[to], SLOT[source])
    context.state.write(to, SMALL)
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
    # Relative to the host register, which is unchanged.
    remat = remat.moved(-(state.offset + amount))
    if remat is None:
        return False
    state.move_stack(state.offset + amount)
    shown = shown_after(info, None, state.offset)
    state.set_flags_later(remat, shown, bool(live_after))
    return True


def _copy_stack(context: Context, info: InsnInfo) -> bool:
    """A copy of rsp: its host register is unchanged."""
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
        state.write(user, shifted(state.intervals[RSP], state.offset))
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
    context.state.move_stack(amount)
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
    # Before the first change: it may depend on an overwritten register.
    derived = _derived(context, info)
    for user in info.writes:
        if host[user] < 0:
            slot_written(context, user)
        else:
            state.write(user, SMALL if user in info.extended else None)
    if info.mnemonic in _SPREAD:
        # The verifier's decoder reports a write of rax, which is only read.
        state.forget_interval(RAX)
    if derived is not None:
        state.narrow(info.operands[0].user, derived)
    elif info.mnemonic == _MOV and len(info.operands) == 2:
        to, source = info.operands
        if (
            to.register in _WIDE
            and source.register in _WIDE
            and host[to.user] == to.user
            and host[source.user] == source.user
            and to.user != source.user
        ):
            state.copy_register(to.user, source.user)


def _derived(context: Context, info: InsnInfo) -> Interval | None:
    """The interval of the first operand, derived from the sources' intervals."""
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
    value = signed64(value)
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
