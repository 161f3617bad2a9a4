# SPDX-License-Identifier: GPL-2.0-only
"""Dataflow of registers that were seen to hold no user address.

A guard on such a register would always exit, although the sum that the program computes
from it may be a valid address: then only the sum is clamped. A mistake here affects
speed only, not safety.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from iced_x86 import Mnemonic

from ubypass.region.graph import Block, Region
from ubypass.region.worklist import Worklist
from ubypass.translate.insn_info import InsnInfo
from ubypass.translate.registers import RSP, gpr64

__all__ = ["nonpointers"]

_MOV: Final[int] = Mnemonic.MOV
# Instructions that add a constant: the first operand keeps its kind.
_MOVES_ON: Final = frozenset({Mnemonic.ADD, Mnemonic.SUB, Mnemonic.INC, Mnemonic.DEC})


def nonpointers(
    region: Region, infos: Mapping[int, Sequence[InsnInfo]]
) -> dict[int, tuple[int, ...]]:
    """For each block the registers, one bit each, that hold no user address before
    each of its instructions in ``infos`` and behind the last one, on some path there.

    An observation (:attr:`Region.nonpointers`) holds until the register is written, and
    for copies, too. Empty without observations.
    """
    if not region.nonpointers:
        return {}
    found: dict[int, tuple[int, ...]] = {}
    starts = dict.fromkeys(region.blocks, 0)
    todo = Worklist(region.blocks)
    while todo:
        start = todo.pop()
        block = region.blocks[start]
        masks = _through(block, infos[start], starts[start], region.nonpointers)
        found[start] = masks
        for target in block.targets:
            if target in starts and masks[-1] & ~starts[target]:
                starts[target] |= masks[-1]
                todo.add(target)
    return found


def _through(
    block: Block, infos: Sequence[InsnInfo], mask: int, known: Mapping[int, int]
) -> tuple[int, ...]:
    masks: list[int] = []
    for info, instruction in zip(infos, block.instructions, strict=False):
        mask |= known.get(instruction.ip, 0) & ~(1 << RSP)
        masks.append(mask)
        mask = _after(info, mask)
    if len(infos) < len(block.instructions):
        mask |= known.get(block.instructions[len(infos)].ip, 0) & ~(1 << RSP)
    masks.append(mask)
    return tuple(masks)


def _after(info: InsnInfo, mask: int) -> int:
    """The registers of ``mask`` that still hold no address after an instruction."""
    operands = info.operands
    if info.mnemonic in _MOVES_ON and info.memory is None and len(operands) == 1:
        return mask
    copied = 0
    if info.mnemonic == _MOV and info.memory is None and len(operands) == 2:
        to, source = operands
        if to.register == gpr64(to.user) and source.register == gpr64(source.user):
            copied = (mask >> source.user & 1) << to.user
    for user in info.writes:
        mask &= ~(1 << user)
    return (mask | copied) & ~(1 << RSP)
