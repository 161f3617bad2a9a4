# SPDX-License-Identifier: GPL-2.0-only
"""Targets of returns, inferred from the stack of a hot event.

Walks from a resume address and tracks the offset of rsp. A ``ret`` that pops a word of
the recorded stack returns to that address if the address follows a call; the walk
continues in the caller. Only a hint: translated code compares each return address.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from iced_x86 import FlowControl, Instruction, Mnemonic, OpKind, Register

from ubypass.region.decode import Decoded
from ubypass.words import signed64

__all__ = ["learn_returns", "moved"]

#: Instructions examined per event: enough for a chain of small wrappers.
_STEPS: Final = 768


def learn_returns(
    code: Decoded, resume: int, stack: Sequence[int]
) -> dict[int, list[int]]:
    """Address of each ``ret`` met → return points seen on ``stack``.

    ``stack`` holds the 8-byte words from rsp upwards at ``resume``.
    """
    learned: dict[int, list[int]] = {}
    if not stack:
        return learned
    todo: list[tuple[int, int | None, int | None]] = [(resume, 0, None)]
    seen: set[int] = set()
    steps = 0
    while todo and steps < _STEPS:
        address, depth, frame = todo.pop(0)
        while address not in seen and steps < _STEPS:
            seen.add(address)
            steps += 1
            instruction = code.at(address)
            if instruction is None:
                break
            flow = instruction.flow_control
            if flow == FlowControl.RETURN:
                target = _word(stack, depth)
                if target is not None and code.is_return_point(target):
                    learned.setdefault(address, []).append(target)
                    assert depth is not None
                    todo.append((target, depth + 8 + _ret_pops(instruction), frame))
                break
            if flow == FlowControl.UNCONDITIONAL_BRANCH:
                address = instruction.near_branch_target
                continue
            if flow == FlowControl.CONDITIONAL_BRANCH:
                todo.append((instruction.near_branch_target, depth, frame))
            elif flow in (
                FlowControl.INDIRECT_BRANCH,
                FlowControl.EXCEPTION,
                FlowControl.INTERRUPT,
                FlowControl.XBEGIN_XABORT_XEND,
            ):
                break
            depth, frame = moved(instruction, depth, frame)
            address = instruction.next_ip
    return learned


def _word(stack: Sequence[int], depth: int | None) -> int | None:
    if depth is None or depth < 0 or depth % 8 or depth // 8 >= len(stack):
        return None
    return stack[depth // 8]


def _ret_pops(instruction: Instruction) -> int:
    return int(instruction.immediate(0)) if instruction.op_count else 0


def moved(
    instruction: Instruction, depth: int | None, frame: int | None
) -> tuple[int | None, int | None]:
    """Offsets of rsp and rbp from a fixed address after ``instruction``, None if
    unknown; given the offsets before it. Calls are stepped over.
    """
    mnemonic = instruction.mnemonic
    # Calls are stepped over: the return pops what the call pushed.
    if instruction.flow_control in (FlowControl.CALL, FlowControl.INDIRECT_CALL):
        return depth, frame
    if mnemonic == Mnemonic.LEAVE:
        return (None if frame is None else frame + 8), None
    destination = instruction.op0_register if instruction.op_count else Register.NONE
    if mnemonic == Mnemonic.MOV and destination == Register.RBP:
        source = instruction.op1_register
        return depth, (depth if source == Register.RSP else None)
    if mnemonic == Mnemonic.POP and destination == Register.RBP:
        frame = None
    change = instruction.stack_pointer_increment
    if change:
        return (None if depth is None else depth + change), frame
    if destination == Register.RSP and mnemonic not in (Mnemonic.CMP, Mnemonic.TEST):
        amount = _constant_change(instruction)
        if amount is None or depth is None:
            return None, frame
        return depth + amount, frame
    return depth, frame


def _constant_change(instruction: Instruction) -> int | None:
    if instruction.mnemonic == Mnemonic.LEA:
        if (
            instruction.memory_base == Register.RSP
            and instruction.memory_index == Register.NONE
        ):
            return signed64(instruction.memory_displacement)
        return None
    if instruction.op_count != 2 or instruction.op1_kind not in (
        OpKind.IMMEDIATE8TO64,
        OpKind.IMMEDIATE32TO64,
    ):
        return None
    value = signed64(instruction.immediate(1))
    if instruction.mnemonic == Mnemonic.ADD:
        return value
    if instruction.mnemonic == Mnemonic.SUB:
        return -value
    return None
