# SPDX-License-Identifier: GPL-2.0-only
"""Choose where the budget is charged: in each cycle without a dispatch, and on long
paths.

The verifier refuses code in which a cycle neither charges nor dispatches (docs/abi.md,
section 7). Paths without a cycle are charged because a segment can be ended at a charge
only. Sizes are numbers of instructions; see `LOCKED`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from heapq import heappop, heappush
from typing import Final

from ubypass.region.graph import loop_heads

__all__ = ["LOCKED", "MOST_OWED", "PATIENCE", "charges", "owed"]

#: What a locked instruction counts: across cache lines it takes as long as so many
#: loads that miss all caches.
LOCKED: Final = 4
#: Instructions of a path after which it charges the budget.
MOST_OWED: Final = 192
#: Further instructions for which a charge waits until the flags are not in use.
PATIENCE: Final = 64

# Blocks to search for the shortest cycle, and for another block that pays.
_FUNCTION: Final = 400
_NEAR: Final = 100


def charges(
    sizes: Mapping[int, int], roots: list[int], successors: Mapping[int, Sequence[int]]
) -> dict[int, int]:
    """Blocks that close a cycle without dispatch → instructions in the shortest.

    ``sizes``: instructions of each block; ``successors`` leaves out edges that go
    through a dispatch.
    """
    found = dict.fromkeys(loop_heads(roots, successors), 0)
    for start in sorted(found):
        if _needless(start, found, successors):
            del found[start]
    return {start: _cycle(sizes, start, successors) for start in sorted(found)}


def owed(
    sizes: Mapping[int, int],
    successors: Mapping[int, Sequence[int]],
    paying: Collection[int],
) -> dict[int, int]:
    """Instructions before each block that no charge has paid for, at most.

    ``sizes``: instructions of each block; ``successors`` leaves out edges that go
    through a dispatch; blocks in ``paying`` charge for their cycle. A block charges
    once `MOST_OWED` instructions are not paid, but up to `PATIENCE` later while flags
    are in use: only a block that cannot wait any longer is sure to have charged.
    """
    found = dict.fromkeys(sizes, 0)
    todo = sorted(sizes)
    while todo:
        at = todo.pop()
        after = sizes[at] + (0 if at in paying else found[at])
        if after >= MOST_OWED + PATIENCE:
            after = min(sizes[at], MOST_OWED + PATIENCE - 1)
        for following in successors[at]:
            if found[following] < after:
                found[following] = after
                todo.append(following)
    return found


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


def _cycle(
    sizes: Mapping[int, int], start: int, successors: Mapping[int, Sequence[int]]
) -> int:
    """Instructions of the shortest cycle through ``start``."""
    done: set[int] = set()
    todo = [(sizes[start], start)]
    while todo and len(done) < _FUNCTION:
        length, at = heappop(todo)
        if at in done:
            continue
        done.add(at)
        for following in successors[at]:
            if following == start:
                return max(length, 1)
            if following not in done:
                heappush(todo, (length + sizes[following], following))
    # A long cycle: a large charge for many instructions.
    return _FUNCTION
