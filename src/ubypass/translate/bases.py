# SPDX-License-Identifier: GPL-2.0-only
"""Which registers will serve as addresses before they get another value.

Only those are worth clamping ahead of time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from iced_x86 import Mnemonic

from ubypass.region.graph import Region
from ubypass.translate.facts import Facts
from ubypass.translate.registers import RBP, RSP

# First operands that keep being an address near the one before.
_MOVES_ON = frozenset({Mnemonic.ADD, Mnemonic.SUB, Mnemonic.INC, Mnemonic.DEC})


def live_bases(
    region: Region, facts: Mapping[int, Sequence[Facts]]
) -> dict[int, frozenset[int]]:
    """For each block the registers that are addresses-to-be at its start.

    The user's rsp always is.
    """
    live: dict[int, frozenset[int]] = {s: frozenset() for s in region.blocks}
    todo = list(region.blocks)
    while todo:
        start = todo.pop()
        found: set[int] = set()
        for target in region.blocks[start].targets:
            found |= live.get(target, frozenset())
        for fact in reversed(facts[start]):
            _before(fact, found)
        if found != live[start]:
            live[start] = frozenset(found)
            todo.extend(region.predecessors.get(start, ()))
    return {start: found | {RSP} for start, found in live.items()}


def _before(fact: Facts, live: set[int]) -> None:
    mnemonic = fact.instruction.mnemonic
    destination = fact.operands[0].user if fact.operands else None
    if mnemonic not in _MOVES_ON:
        wanted = destination is not None and destination in live
        live.difference_update(fact.writes)
        memory = fact.memory
        if wanted and mnemonic == Mnemonic.MOV and len(fact.operands) == 2:
            live.add(fact.operands[1].user)
        if (
            wanted
            and mnemonic == Mnemonic.LEA
            and memory is not None
            and memory.index is None
            and memory.base is not None
        ):
            live.add(memory.base)
    if mnemonic == Mnemonic.LEAVE:
        live.add(RBP)
    memory = fact.memory
    if memory is None or memory.base is None or memory.fs:
        return
    if memory.access and memory.index is None:
        live.add(memory.base)
