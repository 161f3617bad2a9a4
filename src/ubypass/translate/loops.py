# SPDX-License-Identifier: GPL-2.0-only
"""The loops of a region: the blocks in loops, loop bodies, and reverse postorder.

Heuristics for speed only; nothing here affects correctness.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ubypass.region.graph import End, Region
from ubypass.region.worklist import reverse_postorder
from ubypass.translate.clone import in_same_clone

__all__ = ["closes_loop", "loop_body", "looping", "ranks"]

# Largest number of blocks to visit in the search for a loop.
_FUNCTION: Final = 400


def closes_loop(region: Region, start: int, taken: int) -> bool:
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
    """The successors of a block in the same function."""
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

    Searches ``room`` instructions ahead; empty if the loop is larger.
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


def ranks(region: Region, roots: Iterable[int]) -> dict[int, int]:
    """Numbers blocks so that, loops aside, control goes from lower to higher ones
    (reverse postorder of a walk from ``roots`` on).
    """
    blocks = region.blocks

    def inside(start: int) -> list[int]:
        return [target for target in blocks[start].targets if target in blocks]

    return {start: n for n, start in enumerate(reverse_postorder(roots, inside))}
