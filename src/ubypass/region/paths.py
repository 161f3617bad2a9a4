# SPDX-License-Identifier: GPL-2.0-only
"""Which blocks lie on a path to a system call, and on one that is short.

Code from which no call can be reached only delays an exit, and code on long detours is
hardly ever run: both are left out. Lengths are in user instructions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from typing import Final

from ubypass.region.graph import Block, End, predecessors

__all__ = ["distances", "paths_to_calls", "short_paths", "side_paths"]

#: Ends of blocks whose targets have to be learned, and the assumed distance to a call
#: behind one without a known target.
_UNKNOWN: Final = (End.RET, End.JUMP_INDIRECT, End.CALL_INDIRECT)
_DOUBT: Final = 32

_Edges = Mapping[int, Sequence[int]]


def distances(
    blocks: Mapping[int, Block], roots: Iterable[int], limit: int
) -> dict[int, int]:
    """Instructions from the nearest of ``roots`` to the start of each block.

    Only of those blocks that begin within ``limit``.
    """
    edges = {start: block.targets for start, block in blocks.items()}
    found = _shortest(blocks, edges, {r: 0 for r in roots if r in blocks}, limit)
    return found


def paths_to_calls(
    blocks: dict[int, Block], hot: Sequence[int], fringe: Iterable[int]
) -> set[int]:
    """Starts of all blocks on a path to a system call, or to the ``fringe``.

    Those at ``hot`` addresses are ends of paths as well.
    """
    sources = predecessors(blocks)
    ends: set[int] = set()
    todo = [start for start in sorted(blocks) if blocks[start].numbers]
    todo += [start for start in hot if start in blocks]
    todo += sorted(fringe)
    while todo:
        start = todo.pop()
        if start not in ends:
            ends.add(start)
            todo.extend(sources[start])
    return ends


def short_paths(
    blocks: dict[int, Block],
    roots: Iterable[int],
    fringe: int,
    detour: int,
) -> set[int]:
    """Starts of the blocks on paths from ``roots`` to a system call, if short.

    A path from a root may be ``detour`` longer than the shortest one from there. Of
    roots without any path, what begins within ``fringe`` is kept.
    """
    to_call = _to_calls(blocks)
    edges = {start: block.targets for start, block in blocks.items()}
    kept: set[int] = set()
    for root in roots:
        if root not in blocks:
            continue
        if root not in to_call:
            kept.update(_shortest(blocks, edges, {root: 0}, fringe))
            continue
        limit = to_call[root] + detour
        for start, length in _shortest(blocks, edges, {root: 0}, limit).items():
            if length + to_call.get(start, limit + 1) <= limit:
                kept.add(start)
    return kept


def side_paths(blocks: dict[int, Block], known: Iterable[int], detour: int) -> set[int]:
    """Starts of the ``known`` blocks, and of those on paths around them.

    Such a path leaves a known block and comes back to one, or ends at a system call,
    within ``detour`` instructions.
    """
    roots = {start for start in known if start in blocks}
    edges = {start: block.targets for start, block in blocks.items()}
    leaving = {t: 0 for root in roots for t in edges[root] if t in blocks}
    away = _shortest(blocks, edges, leaving, detour)
    back: dict[int, int] = {}
    sources = predecessors(blocks)
    queue = [(0, start) for start in roots]
    queue += [(len(b.instructions), s) for s, b in blocks.items() if b.numbers]
    heapify(queue)
    while queue:
        length, start = heappop(queue)
        if start in back or length > detour:
            continue
        back[start] = length
        for source in sources[start]:
            if source not in back and not blocks[source].numbers:
                more = len(blocks[source].instructions)
                heappush(queue, (length + more, source))
    paths = {s for s, left in back.items() if away.get(s, detour) + left <= detour}
    return roots | paths


def _to_calls(blocks: dict[int, Block]) -> dict[int, int]:
    """Instructions from the start of each block to the nearest system call.

    A branch without a known target may lead to one, too: its miss will report the
    target.
    """
    found: dict[int, int] = {}
    queue = []
    for start, block in blocks.items():
        length = len(block.instructions)
        if block.numbers:
            queue.append((length, start))
        elif block.end in _UNKNOWN and not block.targets:
            queue.append((length + _DOUBT, start))
    heapify(queue)
    sources = predecessors(blocks)
    while queue:
        length, start = heappop(queue)
        if start in found:
            continue
        found[start] = length
        for source in sources[start]:
            if source not in found and not blocks[source].numbers:
                more = len(blocks[source].instructions)
                heappush(queue, (length + more, source))
    return found


def _shortest(
    blocks: Mapping[int, Block], edges: _Edges, begin: Mapping[int, int], limit: int
) -> dict[int, int]:
    """Dijkstra's: lengths up to the starts of blocks, no longer than ``limit``.

    A path ends at a system call: the next begins at its resume address.
    """
    found: dict[int, int] = {}
    queue = [(length, start) for start, length in begin.items()]
    heapify(queue)
    while queue:
        length, start = heappop(queue)
        if start in found or length > limit:
            continue
        found[start] = length
        block = blocks[start]
        if block.numbers:
            continue
        for target in edges[start]:
            if target in blocks and target not in found:
                more = len(block.instructions)
                heappush(queue, (length + more, target))
    return found
