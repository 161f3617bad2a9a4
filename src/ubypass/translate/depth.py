# SPDX-License-Identifier: GPL-2.0-only
"""How far the user's rsp is from one fixed point, block by block.

With that known beforehand the host register of rsp need not move where ways meet:
whoever comes in has it at the same place. Only a guess about speed: where rsp is
somewhere else, edges between blocks move the host register.
"""

from __future__ import annotations

from typing import Final

from ubypass.region.graph import Block, End, Region
from ubypass.region.stackwalk import moved
from ubypass.translate.inline import cold, sibling

#: Distances beyond this leave too little room for displacements.
_FAR: Final = 1 << 15
_CALLS: Final = (End.CALL, End.CALL_INDIRECT)


def depths(region: Region) -> dict[int, int]:
    """Bytes from the fixed point up to rsp at the start of blocks, where they can be
    told from the instructions on one way there.
    """
    found: dict[int, int] = {}
    for root in (*region.entries, *region.blocks):
        if root in region.blocks and root not in found:
            new, shift = _walk(region, root, found)
            for start, depth in new.items():
                if abs(depth + shift) <= _FAR:
                    found[start] = depth + shift
    return found


def _walk(
    region: Region, root: int, known: dict[int, int]
) -> tuple[dict[int, int], int]:
    """Distances from rsp at ``root``, and how far that is from the fixed point."""
    new: dict[int, int] = {}
    shift: int | None = None
    todo: list[tuple[int, int, int | None]] = [(root, 0, None)]
    later: list[tuple[int, int, int | None]] = []
    while todo or later:
        start, depth, frame = (todo or later).pop()
        if start in known:
            shift = known[start] - depth if shift is None else shift
            continue
        block = region.blocks.get(start)
        if block is None or start in new:
            continue
        new[start] = depth
        after, frame = _behind(block, depth, frame)
        if after is None:
            continue
        following: list[tuple[int, int, int | None]]
        if block.end in _CALLS:
            following = [(target, after - 8, None) for target in block.targets]
            # What is called will leave the stack as it was, and rbp.
            following.append((sibling(start, block.next_ip), after, frame))
        else:
            following = [(target, after, frame) for target in block.targets]
        for step in following:
            # Cold code has many ways out, from as many distances.
            (later if cold(step[0]) else todo).append(step)
    return new, shift or 0


def _behind(
    block: Block, depth: int | None, frame: int | None
) -> tuple[int | None, int | None]:
    """The distance, and that of the address in rbp, at the end of ``block``; a call
    that ends it has not pushed anything.
    """
    for instruction in block.instructions:
        depth, frame = moved(instruction, depth, frame)
    return depth, frame
