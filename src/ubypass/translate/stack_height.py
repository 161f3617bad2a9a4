# SPDX-License-Identifier: GPL-2.0-only
"""Stack height at each block: bytes from one fixed point to the user's rsp.

With the heights computed in advance, all edges into a block agree on the value of the
host register of rsp, so that merges do not move it. A wrong height affects speed only:
edge code then moves the host register.
"""

from __future__ import annotations

from typing import Final

from ubypass.region.graph import Block, End, Region
from ubypass.region.stackwalk import moved
from ubypass.translate.clone import in_same_clone, is_cold

__all__ = ["stack_heights"]

#: Heights beyond this leave too little room for displacements.
_FAR: Final = 1 << 15
_CALLS: Final = (End.CALL, End.CALL_INDIRECT)


def stack_heights(region: Region) -> dict[int, int]:
    """Stack height at the start of blocks for which the instructions on one path
    determine it.
    """
    found: dict[int, int] = {}
    for root in (*region.resumes, *region.blocks):
        if root in region.blocks and root not in found:
            new, shift = _walk(region, root, found)
            for start, height in new.items():
                if abs(height + shift) <= _FAR:
                    found[start] = height + shift
    return found


def _walk(
    region: Region, root: int, known: dict[int, int]
) -> tuple[dict[int, int], int]:
    """Heights relative to rsp at ``root``, and the height of rsp there."""
    new: dict[int, int] = {}
    shift: int | None = None
    todo: list[tuple[int, int, int | None]] = [(root, 0, None)]
    later: list[tuple[int, int, int | None]] = []
    while todo or later:
        start, height, frame = (todo or later).pop()
        if start in known:
            shift = known[start] - height if shift is None else shift
            continue
        block = region.blocks.get(start)
        if block is None or start in new:
            continue
        new[start] = height
        after, frame = _behind(block, height, frame)
        if after is None:
            continue
        following: list[tuple[int, int, int | None]]
        if block.end in _CALLS:
            following = [(target, after - 8, None) for target in block.targets]
            # A callee restores the stack height, and rbp.
            following.append((in_same_clone(start, block.next_ip), after, frame))
        else:
            following = [(target, after, frame) for target in block.targets]
        for step in following:
            # Cold code is entered from many places, with different stack heights.
            (later if is_cold(step[0]) else todo).append(step)
    return new, shift or 0


def _behind(
    block: Block, height: int | None, frame: int | None
) -> tuple[int | None, int | None]:
    """The stack height, and the height of the address in rbp, at the end of
    ``block``; a call that ends it has not pushed anything.
    """
    for instruction in block.instructions:
        height, frame = moved(instruction, height, frame)
    return height, frame
