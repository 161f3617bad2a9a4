# SPDX-License-Identifier: GPL-2.0-only
"""Where the files that a region consists of are mapped, and the region elsewhere.

Address-space randomization moves each file as a whole. A *unit* is one mapped file: all
distances within it are the same in every process that has mapped it. Independent of
what is translated.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from iced_x86 import Decoder

from ubypass.abi import SiteKey, Source
from ubypass.process.maps import MemoryMap, VmArea
from ubypass.region.block_end import block_end
from ubypass.region.graph import Block, End, Region, predecessors

__all__ = ["UNITS", "NotShareable", "Placement", "moved", "placement_of"]

#: Most units of a region: program, vDSO, and libraries.
UNITS = 16

#: Ends whose targets are in the encoding of the instruction.
_DIRECT = (End.FALL, End.JUMP, End.BRANCH, End.CALL, End.SYSCALL)

_VDSO = "[vdso]"

#: Identity of a unit: device, inode, path, and the address of the file's first byte.
_Unit = tuple[int, int, str, int]


class NotShareable(Exception):
    """The region, or its translation, depends on this process; the text says how."""


@dataclass(frozen=True, slots=True)
class Placement:
    """``bases``: the address of the first byte of the file, by number of the unit.

    ``ranges``: the code of the region as (unit, offset in the file, bytes), ascending.
    Numbers follow from contents alone, so that they are the same in every process.
    """

    bases: tuple[int, ...]
    ranges: tuple[tuple[int, int, bytes], ...]
    _spans: list[tuple[int, int, int]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        spans = [
            (self.bases[unit] + offset, len(data), number)
            for number, (unit, offset, data) in enumerate(self.ranges)
        ]
        object.__setattr__(self, "_spans", sorted(spans))

    def locate(self, address: int) -> tuple[int, int]:
        """Unit and offset of an address of the region. Raises ``NotShareable``."""
        unit, _, _ = self.ranges[self._range(address)]
        return unit, address - self.bases[unit]

    def code(self, start: int, length: int) -> bytes:
        """Code of the region. Raises ``NotShareable``."""
        unit, offset, data = self.ranges[self._range(start)]
        first = start - self.bases[unit] - offset
        return data[first : first + length]

    def _range(self, address: int) -> int:
        """Number of the range with ``address``. Raises ``NotShareable``."""
        index = bisect_right(self._spans, address, key=lambda span: span[0]) - 1
        if index >= 0:
            start, length, number = self._spans[index]
            if address - start < length:
                return number
        raise NotShareable(f"{address:#x} is not in the region")


def placement_of(region: Region, maps: MemoryMap) -> Placement:
    """Where the code of ``region`` is mapped. Raises ``NotShareable``."""
    found: dict[_Unit, list[tuple[int, bytes]]] = {}
    for source in region.sources:
        unit = _unit(maps.find(source.start), source.start)
        last = source.start + len(source.data) - 1
        if _unit(maps.find(last), last) != unit:
            raise NotShareable("code of the region lies across two files")
        found.setdefault(unit, []).append((source.start - unit[3], source.data))
    if len(found) > UNITS:
        raise NotShareable(f"the region has code of more than {UNITS} files")
    units = sorted(found, key=lambda unit: found[unit])
    contents = [found[unit] for unit in units]
    if any(one == other for one, other in itertools.pairwise(contents)):
        raise NotShareable("two files have the same code")
    return Placement(
        tuple(unit[3] for unit in units),
        tuple(
            (number, offset, data)
            for number, ranges in enumerate(contents)
            for offset, data in ranges
        ),
    )


def _unit(area: VmArea | None, address: int) -> _Unit:
    if area is None or not (area.is_file or area.path == _VDSO):
        raise NotShareable(f"the code at {address:#x} is not of a file")
    return area.device, area.inode, area.path, area.start - area.offset


def moved(region: Region, placement: Placement, bases: Sequence[int]) -> Region:
    """``region`` as it would be if its units were mapped at ``bases``.

    Raises ``NotShareable`` if a direct branch leads from one unit to another one.
    """

    def move(address: int) -> int:
        unit, offset = placement.locate(address)
        return bases[unit] + offset

    blocks = {}
    for start in sorted(region.blocks, key=move):
        block = _moved_block(region.blocks[start], placement, bases)
        blocks[block.start] = block
    return Region(
        blocks=blocks,
        entries=tuple(SiteKey(move(ip), nr) for ip, nr in region.entries),
        sources=tuple(
            sorted(
                (
                    Source(bases[u] + offset, data)
                    for u, offset, data in placement.ranges
                ),
                key=lambda source: source.start,
            )
        ),
        predecessors=predecessors(blocks),
        seeds=tuple(map(move, region.seeds)),
        traced=frozenset(map(move, region.traced)),
        never_taken=frozenset(map(move, region.never_taken)),
        execution_counts={move(ip): n for ip, n in region.execution_counts.items()},
        nonpointers={
            move(ip): mask
            for ip, mask in region.nonpointers.items()
            if _has(placement, ip)
        },
    )


def _has(placement: Placement, address: int) -> bool:
    """Whether the address is in the region."""
    try:
        placement.locate(address)
    except NotShareable:
        return False
    return True


def _moved_block(block: Block, placement: Placement, bases: Sequence[int]) -> Block:
    unit, _ = placement.locate(block.start)
    slide = bases[unit] - placement.bases[unit]
    start = block.start + slide
    data = placement.code(block.start, block.next_ip - block.start)
    instructions = tuple(Decoder(64, data, ip=start))
    if not instructions:
        raise NotShareable("a block is empty")
    if block.end in _DIRECT:
        targets = tuple(target + slide for target in block.targets)
        last = instructions[-1]
        end, encoded = block_end(last, last.flow_control, block.next_ip + slide)
        # A block that falls through ends where another one starts.
        if block.end is not End.FALL and (end, encoded) != (block.end, targets):
            raise NotShareable("a branch does not move with its file")
    else:
        targets = tuple(
            bases[other] + distance
            for other, distance in map(placement.locate, block.targets)
        )
    return Block(
        start,
        instructions,
        block.next_ip + slide,
        block.end,
        targets,
        block.numbers,
        block.nr_known,
        block.stops,
    )
