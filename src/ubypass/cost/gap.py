# SPDX-License-Identifier: GPL-2.0-only
"""The instructions of one gap, counted by kinds that differ in cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from iced_x86 import FlowControl, Instruction, Mnemonic, OpKind, Register

from ubypass.region.decode import Decoded

__all__ = ["GapProfile", "profile_gap"]

_CALLS = (FlowControl.CALL, FlowControl.INDIRECT_CALL)
_JUMPS = (FlowControl.CONDITIONAL_BRANCH, FlowControl.UNCONDITIONAL_BRANCH)
_INDIRECT = (FlowControl.INDIRECT_BRANCH, FlowControl.INDIRECT_CALL)
# Turns of a loop of one block that a translation charges together (translate/flow.py).
_TOGETHER = 16
# Instructions with a memory operand that access no memory.
_NO_ACCESS = (Mnemonic.LEA, Mnemonic.NOP)


@dataclass(frozen=True, slots=True)
class GapProfile:
    """Counts of executed instructions, without the system call behind the gap.

    ``instructions``: all executed ones; ``distinct``: different addresses;
    ``accesses``: memory accesses by a pointer in a register other than rsp, which a
    translation has to clamp; ``branches``: returns, indirect jumps and calls, whose
    target a translation compares; ``turns``: backward jumps, which a translation
    charges to the segment's budget, several turns of a loop of one block together;
    ``spoiled``: returns from functions that were entered before the gap. The kernel's
    own calls have overwritten their entries of the processor's return stack, so they
    are mispredicted natively. ``unknown``: addresses without a readable instruction; if
    there are any, the other counts are too low.
    """

    instructions: int = 0
    distinct: int = 0
    accesses: int = 0
    branches: int = 0
    turns: int = 0
    spoiled: int = 0
    unknown: int = 0


def profile_gap(ips: Sequence[int], code: Decoded) -> GapProfile:
    """The profile of a gap that executed the instructions at ``ips``, in this order.

    The last one may be the system call that ended the gap, which does not count. A
    repeated string instruction counts once, as on a processor with fast string
    operations, although it is in ``ips`` once for each repetition.
    """
    instructions = accesses = branches = turns = spoiled = unknown = depth = 0
    tight, landing, straight = 0, -1, False
    executed = ips[:-1] if ips and _is_syscall(code.at(ips[-1])) else ips
    before, jumped, flow = -1, False, int(FlowControl.NEXT)
    # Loops execute the same instructions again and again.
    kinds = {ip: _kind(code.at(ip)) for ip in dict.fromkeys(executed)}
    for ip in executed:
        kind = kinds[ip]
        if kind is None:
            unknown += 1
            continue
        repeats, following, pointers = kind
        if ip == before and repeats:
            continue
        if jumped and ip <= before:
            # No branch since the last turn: the loop is a single block.
            is_one_block = straight and ip == landing
            tight += is_one_block
            turns += not is_one_block
            landing, straight = ip, True
        elif flow != FlowControl.NEXT:
            straight = False
        before = ip
        instructions += 1
        flow = following
        jumped = flow in _JUMPS
        if flow in _CALLS:
            depth += 1
        elif flow == FlowControl.RETURN:
            branches += 1
            spoiled += depth == 0
            depth = max(depth - 1, 0)
        branches += flow in _INDIRECT
        accesses += pointers
    return GapProfile(
        instructions=instructions,
        distinct=len(kinds),
        accesses=accesses,
        branches=branches,
        turns=turns + -(-tight // _TOGETHER),
        spoiled=spoiled,
        unknown=unknown,
    )


def _is_syscall(instruction: Instruction | None) -> bool:
    return instruction is not None and instruction.mnemonic == Mnemonic.SYSCALL


def _kind(instruction: Instruction | None) -> tuple[bool, int, int] | None:
    """Whether it repeats, its control flow, and its pointers to clamp."""
    if instruction is None:
        return None
    repeats = instruction.has_rep_prefix or instruction.has_repne_prefix
    return repeats, instruction.flow_control, _accesses(instruction)


def _accesses(instruction: Instruction) -> int:
    """The number of pointers to clamp; string instructions may have two."""
    if instruction.mnemonic in _NO_ACCESS:
        return 0
    return sum(
        _is_by_pointer(instruction, instruction.op_kind(operand))
        for operand in range(instruction.op_count)
    )


def _is_by_pointer(instruction: Instruction, kind: int) -> bool:
    if kind == OpKind.MEMORY:
        base, index = instruction.memory_base, instruction.memory_index
        fixed = base in (Register.RSP, Register.RIP, Register.NONE)
        return not fixed or index != Register.NONE
    return kind in (OpKind.MEMORY_SEG_RSI, OpKind.MEMORY_ESRDI, OpKind.MEMORY_SEG_RDI)
