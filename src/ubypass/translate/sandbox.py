# SPDX-License-Identifier: GPL-2.0-only
"""Make the address of a user access safe (docs/abi.md, section 6)."""

from __future__ import annotations

from iced_x86 import Code, Instruction, MemoryOperand, Register

from ubypass.abi import FRAME_FSBASE, TASK_SIZE_MIN, ExitReason
from ubypass.translate.cached_address import (
    CONSTANT,
    THREAD,
    CachedAddress,
    address_sum,
    distance_behind,
)
from ubypass.translate.context import Context
from ubypass.translate.emit import CC_A
from ubypass.translate.flags import clobber
from ubypass.translate.insn_info import Memory, Unsupported
from ubypass.translate.interval import CLAMPED, Interval, serves, serves_indexed
from ubypass.translate.registers import R11, RSP, gpr64, resized
from ubypass.translate.spill import load, materialize_r11, read_spilled

__all__ = [
    "Address",
    "address_of",
    "displacement_size",
    "guard_and_clamp",
    "guard_and_clamp_host",
    "indexed",
    "load_word",
    "rebased",
    "resolve",
]


class Address:
    """A safe address: ``[base + displacement]``, or ``fs:[displacement]`` when
    ``base`` is negative. ``scratch``: base is a scratch register. With ``index``, a
    host register, ``index`` times the operand's own scale is added.
    """

    def __init__(
        self, base: int, displacement: int, scratch: bool, index: int = -1
    ) -> None:
        self.base = base
        self.displacement = displacement
        self.scratch = scratch
        self.index = index


def resolve(context: Context, memory: Memory, size: int | None = None) -> Address:
    """Emit code that makes ``memory`` safe to access; uses both scratch registers.

    Afterwards s1 is free, and s0 unless the address uses it.
    """
    size = memory.size if size is None else size
    memory = rebased(context, memory)
    if memory.base is None and memory.index is None:
        return _constant(context, memory, size)
    if (
        memory.index is None
        and memory.base is not None
        and not memory.fs
        and not memory.narrow
    ):
        found = _in_place(context, memory.base, memory.displacement, size)
        if found is not None:
            return found
    if memory.fs and memory.base is not None and not memory.narrow:
        found = _thread(context, memory.base, memory, size)
        if found is not None:
            return found
    wanted = _sum(context, memory)
    if wanted is not None:
        cached = context.cached_address()
        further = -1 if cached is None else distance_behind(cached, wanted)
        # There may be user memory below a clamped cached address.
        if further >= 0 and serves(CLAMPED, further, size):
            return Address(context.s0, further, True)
    address_of(context, memory, context.s0)
    if memory.narrow and not memory.fs:
        # Below 4 GiB, whatever the registers hold.
        return Address(context.s0, 0, True)
    clobber(context, context.s1)
    if memory.fs:
        context.code.frame_add(context.s0, FRAME_FSBASE)
    _clamp_scratch(context)
    if wanted is not None:
        context.cache_address(wanted)
    return Address(context.s0, 0, True)


def _sum(context: Context, memory: Memory) -> CachedAddress | None:
    """The cache entry for the address of ``memory``, if another access may use it."""
    base, index = memory.base, memory.index
    if memory.fs or memory.narrow or base is None or base == RSP:
        return None
    if index is None:
        # Otherwise its host register is clamped, or, if spilled, its value without the
        # displacement.
        if not context.is_nonpointer(base):
            return None
        index = -1
    return address_sum(base, index, memory.scale, memory.displacement)


def indexed(context: Context, memory: Memory) -> Address | None:
    """The unchanged operand, with base and index in their host registers, if the index
    is known to be small; the base is clamped if necessary.
    """
    assignment, intervals = context.assignment, context.state.intervals
    memory = rebased(context, memory)
    base, index, scale = memory.base, memory.index, memory.scale
    if base is None or index is None or memory.fs or memory.narrow:
        return None
    if assignment.spilled(base) or assignment.spilled(index):
        return None
    load(context, base)
    load(context, index)
    swapped = scale == 1 and not _is_small(intervals[index])
    if swapped:
        base, index = index, base
    bound = intervals[index]
    if bound is None or not serves_indexed(
        CLAMPED, bound, scale, memory.displacement, memory.size
    ):
        return None
    known = intervals[base]
    if known is None or not serves_indexed(
        known, bound, scale, memory.displacement, memory.size
    ):
        if context.is_nonpointer(base):
            return None
        guard_and_clamp(context, base)
    if swapped:
        base, index = index, base
    return Address(
        assignment.host[base], memory.displacement, False, assignment.host[index]
    )


def _is_small(interval: Interval | None) -> bool:
    return interval is not None and interval[3]


def rebased(context: Context, memory: Memory) -> Memory:
    """The operand with rsp meaning the host register of the user's rsp."""
    if memory.base != RSP or not context.state.offset:
        return memory
    displacement = memory.displacement + context.state.offset
    if not -(1 << 31) <= displacement < 1 << 31:
        raise Unsupported("displacement too large")
    return memory.at(displacement)


def load_word(context: Context, memory: Memory, to: int) -> None:
    """Load the word at ``memory`` into the scratch register ``to``."""
    if R11 in (memory.base, memory.index):
        materialize_r11(context)
    address = resolve(context, memory)
    if address.base < 0:
        raise Unsupported("a thread-local variable as target or operand")
    context.code.fault(context.exit(ExitReason.FAULT))
    context.code.load(to, address.base, address.displacement)


def _constant(context: Context, memory: Memory, size: int) -> Address:
    if memory.fs:
        # Beyond 2 GiB from the base there is no guard space.
        if not -(1 << 21) <= memory.displacement <= (1 << 31) - size - 1:
            raise Unsupported("fs offset out of range")
        return Address(-1, memory.displacement, False)
    if not 0 <= memory.displacement <= TASK_SIZE_MIN - size:
        raise Unsupported("constant address outside user space")
    cached = context.cached_address()
    if cached is not None and cached[0] == CONSTANT:
        # Most globals of a function are near its code.
        distance = memory.displacement - cached[1]
        if -(1 << 31) <= distance < 1 << 31:
            return Address(context.s0, distance, True)
    context.code.move_imm(context.s0, memory.displacement)
    context.cache_address((CONSTANT, memory.displacement))
    return Address(context.s0, 0, True)


def _thread(context: Context, user: int, memory: Memory, size: int) -> Address | None:
    """A thread-local operand: fs base + register is clamped without the displacement,
    so that the cached address serves several accesses.
    """
    displacement = memory.displacement
    if (
        memory.index is not None
        or displacement < 0
        or user == RSP
        or context.assignment.spilled(user)
    ):
        # Below a clamped pointer to nowhere may well be user memory.
        return None
    if not serves(CLAMPED, displacement, size):
        return None
    load(context, user)
    wanted = THREAD, user
    if context.cached_address() != wanted:
        clobber(context, context.s1)
        context.code.move(context.s0, context.assignment.host[user])
        context.code.frame_add(context.s0, FRAME_FSBASE)
        _clamp_scratch(context)
        context.cache_address(wanted)
    return Address(context.s0, displacement, True)


def _in_place(
    context: Context, user: int, displacement: int, size: int
) -> Address | None:
    """Clamp the host register itself once; later accesses need no clamp."""
    if not serves(CLAMPED, displacement, size):
        return None
    if context.assignment.spilled(user):
        if displacement < 0 or context.is_nonpointer(user):
            # Below a clamped pointer to nowhere may well be user memory.
            return None
        wanted = address_sum(user, -1, 1, 0)
        if context.cached_address() != wanted:
            read_spilled(context, user, context.s0)
            clobber(context, context.s1)
            _clamp_scratch(context)
            context.cache_address(wanted)
        context.note_guard(user)
        return Address(context.s0, displacement, True)
    host = load(context, user)
    if not serves(context.state.intervals[user], displacement, size):
        if context.is_nonpointer(user):
            return None
        guard_and_clamp(context, user)
    return Address(host, displacement, False)


def guard_and_clamp(context: Context, user: int) -> None:
    """Exit unless the host register of ``user`` is a user address, and clamp it: a
    mispredicted guard must not let another address through, unless the program is
    trusted. The second scratch register must be free.
    """
    copy = context.state.clamped_copy(user)
    if copy >= 0:
        # The registers have the same value, so the program sees no difference.
        hosts = context.assignment.host
        context.code.move(hosts[user], hosts[copy])
        context.state.clamp(user)
        return
    clobber(context, context.s1)
    context.note_guard(user)
    guard_and_clamp_host(
        context,
        context.assignment.host[user],
        ExitReason.STACK if user == RSP else ExitReason.FAULT,
    )
    context.state.clamp(user)


def guard_and_clamp_host(context: Context, host: int, reason: ExitReason) -> None:
    """Guard and clamp a host register; the user's flags must have been saved. The
    address of a trusted program is only guarded.
    """
    context.code.cmp_limit(host)
    context.code.jcc(CC_A, context.exit(reason))
    if not context.abi.trusted:
        # The branch alone could be mispredicted.
        context.code.cmovae_limit(host)


def _clamp_scratch(context: Context) -> None:
    """Clamp the first scratch register, an address that the user's registers do not
    hold: another one faults. For a trusted program it is guarded instead.
    """
    if context.abi.trusted:
        guard_and_clamp_host(context, context.s0, ExitReason.FAULT)
        return
    context.code.cmp_limit(context.s0)
    context.code.cmovae_limit(context.s0)


def address_of(context: Context, memory: Memory, to: int) -> None:
    """lea to, [memory], without fs; uses s1 when the index is spilled. 32 bits,
    zero-extended, if the address is narrow.

    ``memory`` must have gone through :func:`rebased`.
    """
    assignment = context.assignment
    base = index = -1
    if memory.index is not None:
        if assignment.spilled(memory.index):
            index = context.s1 if to != context.s1 else context.s0
            read_spilled(context, memory.index, index)
        else:
            index = load(context, memory.index)
    if memory.base is not None:
        if assignment.spilled(memory.base):
            base = to
            if memory.base == memory.index:
                base = index
            else:
                read_spilled(context, memory.base, to)
        else:
            base = load(context, memory.base)
    if index < 0 and base >= 0 and not memory.narrow:
        if memory.displacement:
            context.code.lea(to, base, memory.displacement)
        elif base != to:
            context.code.move(to, base)
        return
    context.code.user(
        Instruction.create_reg_mem(
            Code.LEA_R32_M if memory.narrow else Code.LEA_R64_M,
            resized(Register.EAX, to) if memory.narrow else gpr64(to),
            MemoryOperand(
                gpr64(base) if base >= 0 else Register.NONE,
                gpr64(index) if index >= 0 else Register.NONE,
                memory.scale,
                memory.displacement,
                8 if base < 0 else displacement_size(memory.displacement),
            ),
        )
    )


def displacement_size(displacement: int) -> int:
    """iced's size of a displacement next to a base register."""
    if displacement == 0:
        return 0
    return 1 if -128 <= displacement < 128 else 8
