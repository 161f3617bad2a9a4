# SPDX-License-Identifier: GPL-2.0-only
"""Which registers will serve as addresses before they get another value.

Only those are worth clamping ahead of time; and which will serve as indexes, because
it pays to know that those are small.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from iced_x86 import Mnemonic

from ubypass.region.graph import Region
from ubypass.translate.facts import Facts
from ubypass.translate.registers import RBP, RSP

_INDEX = 16
# First operands that keep being an address near the one before.
_MOVES_ON = frozenset({Mnemonic.ADD, Mnemonic.SUB, Mnemonic.INC, Mnemonic.DEC})


def live_bases(
    region: Region, facts: Mapping[int, Sequence[Facts]]
) -> dict[int, tuple[frozenset[int], frozenset[int]]]:
    """For each block the registers that are bases-to-be and indexes-to-be at its
    start. The user's rsp always is a base.
    """
    # One bit per register for bases, further up one for indexes.
    effects = {
        start: [_effect(fact) for fact in reversed(found)]
        for start, found in facts.items()
    }
    live = dict.fromkeys(region.blocks, 0)
    todo = list(region.blocks)
    while todo:
        start = todo.pop()
        now = 0
        for target in region.blocks[start].targets:
            now |= live.get(target, 0)
        for destination, gone, source, used in effects[start]:
            base, index = now & destination, now >> _INDEX & destination
            now &= ~(gone | gone << _INDEX)
            if base:
                now |= source
            if index:
                now |= source << _INDEX
            now |= used
        if now != live[start]:
            live[start] = now
            todo.extend(region.predecessors.get(start, ()))
    sets = {
        bits: (_registers(bits) | {RSP}, _registers(bits >> _INDEX))
        for bits in set(live.values())
    }
    return {start: sets[bits] for start, bits in live.items()}


def _registers(bits: int) -> frozenset[int]:
    return frozenset(user for user in range(16) if bits >> user & 1)


def _effect(fact: Facts) -> tuple[int, int, int, int]:
    """Bits of: the destination; what is overwritten; where the destination comes
    from if it is an address near that; base and index of an access.
    """
    mnemonic, memory, operands = fact.mnemonic, fact.memory, fact.operands
    destination = gone = source = used = 0
    if mnemonic not in _MOVES_ON:
        for user in fact.writes:
            gone |= 1 << user
        if operands:
            destination = 1 << operands[0].user
        if mnemonic == Mnemonic.MOV and len(operands) == 2:
            source = 1 << operands[1].user
        elif (
            mnemonic == Mnemonic.LEA
            and memory is not None
            and memory.index is None
            and memory.base is not None
        ):
            source = 1 << memory.base
    if mnemonic == Mnemonic.LEAVE:
        used = 1 << RBP
    elif memory is not None and memory.access and not memory.fs:
        if memory.base is not None:
            used = 1 << memory.base
        if memory.index is not None:
            used |= 1 << memory.index + _INDEX
    return destination, gone, source, used
