# SPDX-License-Identifier: GPL-2.0-only
"""From sampled addresses to the starts of the basic blocks that contain them.

A sample lies anywhere in a block. A discovery root there would split the block, so
splits that only samples have caused are undone, except for those without which
exploration would not reach the end of a long block.
"""

from __future__ import annotations

from collections.abc import Iterable

from ubypass.region.graph import End, Region

__all__ = ["sampled_blocks"]


def sampled_blocks(
    region: Region, samples: Iterable[int], reach: int
) -> tuple[int, ...]:
    """Block starts, ascending, from which exploration reaches ``samples`` again.

    ``region`` was explored from each of ``samples``, ``reach`` instructions far.
    Samples that are not in it are left out.
    """
    present = {sample for sample in samples if sample in region.blocks}
    cuts = {sample for sample in present if _is_cut(region, sample)}
    starts = present - cuts
    for cut in cuts:
        start = cut
        while start in cuts:
            start = region.predecessors[start][0]
        starts.add(start)
    for start in tuple(starts):
        starts.update(_needed(region, start, cuts, reach))
    return tuple(sorted(starts))


def _is_cut(region: Region, start: int) -> bool:
    """Whether a block begins here only because of a sample."""
    before = region.predecessors.get(start, ())
    if start in region.resumes or len(before) != 1:
        return False
    return region.blocks[before[0]].end is End.FALL


def _needed(region: Region, start: int, cuts: set[int], reach: int) -> Iterable[int]:
    """The cuts after ``start`` without which exploration would stop short."""
    block = region.blocks[start]
    length = len(block.instructions)
    while block.end is End.FALL and block.targets[0] in cuts:
        following = region.blocks[block.targets[0]]
        length += len(following.instructions)
        if length > reach:
            yield following.start
            length = len(following.instructions)
        block = following
