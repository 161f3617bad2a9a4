# SPDX-License-Identifier: GPL-2.0-only
"""Liveness of registers as address bases and indexes.

A hoisted clamp pays only for a register that an access uses as its base before the next
write. For an index the useful fact is a small value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Final

from iced_x86 import Mnemonic

from ubypass.region.graph import End, Region
from ubypass.region.worklist import Worklist
from ubypass.translate.insn_info import InsnInfo, Memory, alignment
from ubypass.translate.memo import remember
from ubypass.translate.registers import RBP, RSP

__all__ = ["live_bases", "loop_bases", "sure_copies"]

_MOV: Final[int] = Mnemonic.MOV
_INDEX: Final = 16
# Instructions to look ahead for the use of a copy.
_WINDOW: Final = 16
_STRAIGHT: Final = (End.FALL, End.JUMP, End.CALL)
# Instructions whose first operand stays an address near the previous one.
_MOVES_ON: Final = frozenset({Mnemonic.ADD, Mnemonic.SUB, Mnemonic.INC, Mnemonic.DEC})


class _Effect:
    """The effect on bases and indexes, as bits: the destination; the registers that are
    kept; the source, if the destination is an address near it; base and index of an
    access; and the base that cannot be the index.
    """

    def __init__(
        self, destination: int, stays: int, source: int, used: int, sure: int
    ) -> None:
        self.destination, self.stays, self.source = destination, stays, source
        self.used, self.sure = used, sure


#: By the form of the instruction.
_known: dict[int, _Effect] = {}


def live_bases(
    region: Region, infos: Mapping[int, Sequence[InsnInfo]]
) -> dict[int, tuple[frozenset[int], frozenset[int]]]:
    """For each block the registers that are live as a base, and as an index, at its
    start. The user's rsp always is a base.
    """
    live = _solve(region, infos, list(infos), False)
    sets = {
        bits: (_registers(bits) | {RSP}, _registers(bits >> _INDEX))
        for bits in set(live.values())
    }
    return {start: sets[bits] for start, bits in live.items()}


def loop_bases(
    region: Region, infos: Mapping[int, Sequence[InsnInfo]], head: int, body: Set[int]
) -> frozenset[int]:
    """The registers that are live as a base at ``head`` of a loop with the blocks
    ``body``, by accesses in that loop in which they cannot be the index.
    """
    return _registers(_solve(region, infos, list(body), True)[head])


def sure_copies(
    region: Region, infos: Mapping[int, Sequence[InsnInfo]], start: int
) -> frozenset[int]:
    """The positions in the block at ``start`` of moves between registers whose
    destination is used as an address on the only path from there.
    """
    return frozenset(
        position
        for position, info in enumerate(infos[start])
        if info.mnemonic == _MOV
        and len(info.operands) == 2
        and _surely_used(region, infos, start, position)
    )


def _surely_used(
    region: Region, infos: Mapping[int, Sequence[InsnInfo]], start: int, position: int
) -> bool:
    user = infos[start][position].operands[0].user
    position += 1
    for _ in range(_WINDOW):
        if position == len(infos[start]):
            block = region.blocks[start]
            if block.end not in _STRAIGHT or block.targets[0] not in infos:
                return False
            start, position = block.targets[0], 0
            if not infos[start]:
                return False
        info = infos[start][position]
        memory = info.memory
        if memory is not None and memory.index is None and _sure(memory) == 1 << user:
            return True
        if user in info.writes:
            return False
        position += 1
    return False


def _solve(
    region: Region,
    infos: Mapping[int, Sequence[InsnInfo]],
    starts: list[int],
    sure: bool,
) -> dict[int, int]:
    """The live registers at the start of each block in ``starts``: one bit each for
    bases, above those one for indexes. ``sure``: only registers that cannot be the
    index.
    """
    live = dict.fromkeys(starts, 0)
    todo = Worklist(starts)
    # Last ones first.
    known: dict[int, list[_Effect]] = {}
    while todo:
        start = todo.pop()
        effects = known.get(start)
        if effects is None:
            effects = known[start] = _effects(infos[start])
        now = 0
        for target in region.blocks[start].targets:
            now |= live.get(target, 0)
        for effect in effects:
            base, index = now & effect.destination, now >> _INDEX & effect.destination
            now &= effect.stays
            if base:
                now |= effect.source
            if index:
                now |= effect.source << _INDEX
            now |= effect.sure if sure else effect.used
        if now != live[start]:
            live[start] = now
            for at in region.predecessors.get(start, ()):
                if at in live:
                    todo.add(at)
    return live


def _effects(infos: Sequence[InsnInfo]) -> list[_Effect]:
    """The effects of the instructions of a block, the last one first."""
    found: list[_Effect] = []
    for info in infos:
        effect = _known.get(info.form)
        if effect is None:
            effect = remember(_known, info.form, _effect(info))
        found.append(effect)
    found.reverse()
    return found


def _sure(memory: Memory | None) -> int:
    """The bit of a base that cannot be an offset from the real base."""
    if memory is None or not memory.access or memory.fs or memory.narrow:
        return 0
    if memory.base is None or (memory.index is not None and memory.scale == 1):
        return 0
    return 1 << memory.base


def _registers(bits: int) -> frozenset[int]:
    return frozenset(user for user in range(16) if bits >> user & 1)


def _effect(info: InsnInfo) -> _Effect:
    mnemonic, memory, operands = info.mnemonic, info.memory, info.operands
    destination = gone = source = used = 0
    if mnemonic not in _MOVES_ON and not alignment(info.instruction):
        for user in info.writes:
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
    stays = ~(gone | gone << _INDEX)
    return _Effect(destination, stays, source, used, _sure(memory))
