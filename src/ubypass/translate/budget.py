# SPDX-License-Identifier: GPL-2.0-only
"""Choose the blocks that charge the budget: one in each cycle without a dispatch.

The verifier refuses code in which a cycle neither charges nor dispatches (docs/abi.md,
section 7).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from heapq import heappop, heappush
from typing import Final

from ubypass.region.graph import Region, loop_heads

__all__ = ["charges"]

# Blocks to search for the shortest cycle, and for another block that pays.
_FUNCTION: Final = 400
_NEAR: Final = 100


def charges(
    region: Region, roots: list[int], successors: Mapping[int, Sequence[int]]
) -> dict[int, int]:
    """Blocks that close a cycle without dispatch → instructions in the shortest.

    ``successors`` leaves out edges that go through a dispatch.
    """
    found = dict.fromkeys(loop_heads(roots, successors), 0)
    for start in sorted(found):
        if _needless(start, found, successors):
            del found[start]
    return {start: _cycle(region, start, successors) for start in sorted(found)}


def _needless(
    start: int, paying: Collection[int], successors: Mapping[int, Sequence[int]]
) -> bool:
    """Whether all cycles through ``start`` charge in another block, by a bounded
    search.
    """
    seen: set[int] = set()
    todo = list(successors[start])
    while todo:
        at = todo.pop()
        if at == start or len(seen) > _NEAR:
            return False
        if at not in seen and at not in paying:
            seen.add(at)
            todo += successors[at]
    return True


def _cycle(region: Region, start: int, successors: Mapping[int, Sequence[int]]) -> int:
    """Instructions of the shortest cycle through ``start``."""
    done: set[int] = set()
    todo = [(len(region.blocks[start].instructions), start)]
    while todo and len(done) < _FUNCTION:
        length, at = heappop(todo)
        if at in done:
            continue
        done.add(at)
        for following in successors[at]:
            if following == start:
                return max(length, 1)
            if following not in done:
                further = len(region.blocks[following].instructions)
                heappush(todo, (length + further, following))
    # A long cycle: a large charge for many instructions.
    return _FUNCTION
