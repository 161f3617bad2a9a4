# SPDX-License-Identifier: GPL-2.0-only
"""Guess where control usually goes: order of blocks, weight of edges, charges.

Only guesses about speed; nothing here decides whether code is right, except that
every cycle without a dispatch gets a charge.
"""

from __future__ import annotations

from collections.abc import (
    Callable,
    Collection,
    Hashable,
    Iterable,
    Mapping,
    Sequence,
)
from heapq import heapify, heappop, heappush
from typing import Final, TypeVar

from ubypass.region.graph import Block, End, Region
from ubypass.translate.clone import in_same_clone

__all__ = [
    "COLD",
    "HOT",
    "LIKELY",
    "SOME",
    "T",
    "charges",
    "distances",
    "hot_path",
    "likely",
    "loop_body",
    "looping",
    "order",
    "ranks",
]

T = TypeVar("T", bound=Hashable)

# Blocks to look at when a loop is searched for, and when another that pays is.
_FUNCTION: Final = 400
_NEAR: Final = 100

#: Edge weights: never on a hot path, perhaps, probably, surely. What was counted on
#: traced paths comes on top.
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
    # Loops jump back; errors jump ahead, or to cold code, which may lie anywhere.
    return taken if _loops(region, block.start, taken) else following


def _loops(region: Region, start: int, taken: int) -> bool:
    """Whether a jump from ``start`` back to ``taken`` closes a loop of one function."""
    if taken > start:
        return False
    seen: set[int] = set()
    todo = [taken]
    while todo and len(seen) < _FUNCTION:
        at = todo.pop()
        if at == start:
            return True
        block = region.blocks.get(at)
        if block is None or at in seen:
            continue
        seen.add(at)
        if block.end in (End.CALL, End.CALL_INDIRECT, End.SYSCALL):
            todo.append(in_same_clone(at, block.next_ip))
        elif block.end not in (End.RET, End.JUMP_INDIRECT):
            todo += block.targets
    return False


def looping(region: Region) -> set[int]:
    """The blocks that are in a loop of their function; calls are stepped over."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    found: set[int] = set()
    path: list[int] = []
    for root in region.blocks:
        if root in index:
            continue
        # Tarjan's strongly connected components.
        stack = [(root, iter(_within(region, root)))]
        index[root] = low[root] = len(index)
        path.append(root)
        on_path = {root}
        while stack:
            at, ahead = stack[-1]
            following = next(ahead, None)
            if following is None:
                stack.pop()
                if stack:
                    above = stack[-1][0]
                    low[above] = min(low[above], low[at])
                if low[at] == index[at]:
                    alone = path[-1] == at
                    if not alone or at in _within(region, at):
                        found.add(at)
                    while path[-1] != at:
                        on_path.discard(path[-1])
                        found.add(path.pop())
                    on_path.discard(path.pop())
            elif following not in index:
                index[following] = low[following] = len(index)
                path.append(following)
                on_path.add(following)
                stack.append((following, iter(_within(region, following))))
            elif following in on_path:
                low[at] = min(low[at], index[following])
    return found


def _within(region: Region, start: int) -> list[int]:
    """The blocks of the same function that may follow."""
    block = region.blocks[start]
    targets: tuple[int, ...] = block.targets
    if block.end in (End.CALL, End.CALL_INDIRECT, End.SYSCALL):
        targets = (in_same_clone(start, block.next_ip),)
    elif block.end == End.RET:
        targets = ()
    return [target for target in targets if target in region.blocks]


def loop_body(
    region: Region, head: int, successors: Mapping[int, Sequence[int]], room: int
) -> set[int]:
    """The blocks on paths from ``head`` back to it without a call, return or dispatch.

    Looks ``room`` instructions ahead; empty if the loop is not inside of that.
    """
    ahead: dict[int, list[int]] = {}
    size = 0
    todo = [head]
    while todo:
        at = todo.pop()
        if at in ahead:
            continue
        block = region.blocks[at]
        size += len(block.instructions)
        if size > 4 * room:
            return set()
        ahead[at] = []
        if block.end in (End.FALL, End.JUMP, End.BRANCH):
            ahead[at] = [target for target in successors[at] if target != at]
            todo += [target for target in ahead[at] if target != head]
    body = {head}
    grown = True
    while grown:
        grown = False
        for at, following in ahead.items():
            if at not in body and not body.isdisjoint(following):
                body.add(at)
                grown = True
    closes = any(head in successors[at] for at in body)
    fits = sum(len(region.blocks[at].instructions) for at in body) <= room
    return body if closes and fits else set()


def order(
    starts: Iterable[T],
    next_of: Callable[[T], T | None],
    is_branch: Callable[[T], bool],
) -> list[T]:
    """All of ``starts``, each followed by its likely successor where possible.

    ``is_branch`` tells what ends in a conditional branch.
    """
    placed: dict[T, None] = {}
    for start in starts:
        trace: dict[T, None] = {}
        at: T | None = start
        while at is not None and at not in placed and at not in trace:
            trace[at] = None
            at = next_of(at)
        placed |= dict.fromkeys(_rotated(list(trace), at, is_branch))
    return list(placed)


def _rotated(
    trace: list[T], closing: T | None, is_branch: Callable[[T], bool]
) -> list[T]:
    """A loop ends best in its conditional branch: no jump goes back then."""
    if closing is None or closing not in trace:
        return trace
    first = trace.index(closing)
    loop = trace[first:]
    for position in reversed(range(len(loop))):
        if is_branch(loop[position]):
            return trace[:first] + loop[position + 1 :] + loop[: position + 1]
    return trace


def hot_path(region: Region, guess: dict[int, int | None]) -> set[int]:
    """The blocks that control probably runs through from the entries on."""
    found: set[int] = set()
    for entry in region.entries:
        at: int | None = entry
        while at is not None and at in region.blocks and at not in found:
            found.add(at)
            at = guess[at]
    return found


def ranks(region: Region, roots: Iterable[int]) -> dict[int, int]:
    """Numbers blocks so that, loops aside, control goes from lower to higher ones
    (reverse postorder of a walk from ``roots`` on).
    """
    finished: list[int] = []
    seen: set[int] = set()
    for root in roots:
        if root in seen:
            continue
        seen.add(root)
        stack = [(root, iter(region.blocks[root].targets))]
        while stack:
            at, ahead = stack[-1]
            for following in ahead:
                if following in region.blocks and following not in seen:
                    seen.add(following)
                    stack.append((following, iter(region.blocks[following].targets)))
                    break
            else:
                finished.append(at)
                stack.pop()
    last = len(finished) - 1
    return {start: last - number for number, start in enumerate(finished)}


def charges(
    region: Region, roots: list[int], successors: Mapping[int, Sequence[int]]
) -> dict[int, int]:
    """Blocks that close a cycle without dispatch → instructions in the shortest.

    ``successors`` leaves out edges that go through a dispatch.
    """
    found: dict[int, int] = {}
    done: set[int] = set()
    for root in roots:
        if root in done:
            continue
        path: dict[int, None] = {root: None}
        stack = [(root, iter(successors[root]))]
        while stack:
            at, ahead = stack[-1]
            following = next(ahead, None)
            if following is None:
                stack.pop()
                del path[at]
                done.add(at)
            elif following in path:
                found.setdefault(following, 0)
            elif following not in done:
                path[following] = None
                stack.append((following, iter(successors[following])))
    for start in sorted(found):
        if _needless(start, found, successors):
            del found[start]
    return {start: _cycle(region, start, successors) for start in sorted(found)}


def _needless(
    start: int, paying: Collection[int], successors: Mapping[int, Sequence[int]]
) -> bool:
    """Whether all cycles through ``start`` pay elsewhere, as far as is easily seen."""
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
    # A long one: a lot to pay, but for a lot of instructions.
    return _FUNCTION
