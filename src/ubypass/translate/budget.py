# SPDX-License-Identifier: GPL-2.0-only
"""Choose where the budget is charged: in each cycle without a dispatch, and on long
paths.

The verifier refuses code in which a cycle neither charges nor dispatches (docs/abi.md,
section 7). Paths without a cycle are charged because a segment can be ended at a charge
only. Sizes are numbers of instructions; see `LOCKED`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from heapq import heappop, heappush
from typing import Final

from ubypass.region.graph import loop_heads
from ubypass.region.worklist import reverse_postorder

__all__ = ["LOCKED", "MOST_OWED", "PATIENCE", "charges", "owed", "path_charges"]

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
    unpaid: Callable[[int, int], int],
) -> dict[int, int]:
    """Instructions before each block that no charge has paid for, at most.

    ``sizes``: instructions of each block; ``successors`` leaves out edges that go
    through a dispatch; blocks in ``paying`` charge for their cycle. ``unpaid``: what
    a block owes at its end, by the block and what it owes at its start, as of
    :func:`path_charges`; asked only of blocks that may charge on their path.
    """
    found = dict.fromkeys(sizes, 0)

    def ahead(at: int) -> list[int]:
        # Without the edges into blocks that pay for their cycle there is no cycle.
        return [target for target in successors[at] if target not in paying]

    for at in reverse_postorder(sorted(sizes), ahead):
        before = 0 if at in paying else found[at]
        after = before + sizes[at]
        if after >= MOST_OWED:
            after = unpaid(at, before)
        for following in successors[at]:
            found[following] = max(found[following], after)
    return found


def path_charges(
    weights: Sequence[int], live: Sequence[int], owed: int
) -> tuple[dict[int, int], int]:
    """Where a block charges for its path: positions of instructions and amounts; and
    what the block owes at its end.

    ``weights``: what each instruction counts; ``live``: the flags that are live before
    each; ``owed``: what the path to the block owes. A charge changes the flags, so it
    waits for up to `PATIENCE` instructions until they are dead.
    """
    found: dict[int, int] = {}
    for position, weight in enumerate(weights):
        if owed >= MOST_OWED and (not live[position] or owed >= MOST_OWED + PATIENCE):
            found[position] = owed
            owed = 0
        owed += weight
    return found, owed


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
