# SPDX-License-Identifier: GPL-2.0-only
"""A static profile: likely branch targets and edge weights.

Heuristics for speed only; nothing here affects correctness.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable
from heapq import heapify, heappop, heappush
from typing import Final, TypeVar

from ubypass.region.graph import Block, BlockId, End, Region
from ubypass.translate.clone import CLONE_STRIDE, is_cold, user_address
from ubypass.translate.loops import closes_loop

__all__ = [
    "COLD",
    "HOT",
    "LIKELY",
    "SOME",
    "distances",
    "executions",
    "hot_path",
    "likely",
    "order",
]

_T = TypeVar("_T", bound=Hashable)

#: Edge weights: never on a hot path, perhaps, probably, surely. Execution counts of
#: traced paths are added.
COLD: Final = 0
SOME: Final = 2
LIKELY: Final = 4
HOT: Final = 6


def distances(region: Region, dispatching: Collection[int]) -> dict[int, int]:
    """User instructions from each block's start to the nearest dispatch.

    ``dispatching`` are the blocks that end in one. Blocks that reach none are
    missing.
    """
    found: dict[int, int] = {}
    todo = [
        (len(region.blocks[start].instructions), start) for start in sorted(dispatching)
    ]
    heapify(todo)
    while todo:
        distance, start = heappop(todo)
        if start in found:
            continue
        found[start] = distance
        for source in region.predecessors.get(start, ()):
            if source not in found and source not in dispatching:
                length = len(region.blocks[source].instructions)
                heappush(todo, (distance + length, source))
    return found


def likely(region: Region, block: Block, distance: dict[int, int]) -> int | None:
    """The target of ``block`` that control probably takes."""
    if not block.targets:
        return None
    if block.end != End.BRANCH:
        return block.targets[0]
    taken, following = block.targets
    if (taken in region.traced) != (following in region.traced):
        return taken if taken in region.traced else following
    if region.never_taken and block.last.ip in region.never_taken:
        return following
    if (taken in distance) != (following in distance):
        return taken if taken in distance else following
    # Loops branch backward; error paths branch forward, or to cold code anywhere.
    return taken if closes_loop(region, block.start, taken) else following


def executions(region: Region) -> dict[BlockId, int]:
    """Estimated executions of each block on traced paths, at least 1; empty if they
    were not counted.

    They were counted by user address. A clone has those of the call that it is for.
    """
    seen = region.execution_counts
    if not seen:
        return {}
    #: By number of a clone: the part of the executions that is in the clone.
    part: dict[int, float] = {}
    found: dict[BlockId, int] = {}
    # The clone of a caller has a smaller number than that of its callee.
    for start in sorted(region.traced):
        clone, at = divmod(start, CLONE_STRIDE)
        often = seen.get(at, 0) * part.get(clone, 1.0)
        found[start] = max(int(often), 1)
        block = region.blocks[start]
        if block.end not in (End.CALL, End.CALL_INDIRECT):
            continue
        for target in block.targets:
            callee = target // CLONE_STRIDE
            if callee > clone and not is_cold(target):
                all_calls = max(seen.get(user_address(target), 0), 1)
                part[callee] = min(part.get(callee, 0.0) + often / all_calls, 1.0)
    return found


def hot_path(region: Region, guess: dict[int, int | None]) -> set[int]:
    """The blocks on the likely paths from the entries."""
    found: set[int] = set()
    for entry in region.resumes:
        at: int | None = entry
        while at is not None and at in region.blocks and at not in found:
            found.add(at)
            at = guess[at]
    return found


def order(
    starts: Iterable[_T],
    next_of: Callable[[_T], _T | None],
    is_branch: Callable[[_T], bool],
) -> list[_T]:
    """All of ``starts``, each followed by its likely successor where possible.

    ``is_branch``: whether an element ends in a conditional branch.
    """
    placed: dict[_T, None] = {}
    for start in starts:
        trace: dict[_T, None] = {}
        at: _T | None = start
        while at is not None and at not in placed and at not in trace:
            trace[at] = None
            at = next_of(at)
        placed |= dict.fromkeys(_rotated(list(trace), at, is_branch))
    return list(placed)


def _rotated(
    trace: list[_T], closing: _T | None, is_branch: Callable[[_T], bool]
) -> list[_T]:
    """Rotate a loop so that it ends in its conditional branch, without a jump back."""
    if closing is None or closing not in trace:
        return trace
    first = trace.index(closing)
    loop = trace[first:]
    for position in reversed(range(len(loop))):
        if is_branch(loop[position]):
            return trace[:first] + loop[position + 1 :] + loop[: position + 1]
    return trace
