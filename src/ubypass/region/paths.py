# SPDX-License-Identifier: GPL-2.0-only
"""Selects the blocks on short paths to a system call.

Code from which no system call can be reached only delays an exit, and code on long
detours rarely runs: both are left out. Lengths are in user instructions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import Final

from ubypass.region.graph import Block, End, predecessors
from ubypass.region.worklist import reached

__all__ = ["distances", "jumps", "paths_to_calls", "short_paths", "side_paths"]

#: Ends of blocks whose targets have to be learned, and the assumed distance to a call
#: from an end without a known target.
_UNKNOWN: Final = (End.RET, End.JUMP_INDIRECT, End.CALL_INDIRECT)
_DOUBT: Final = 32

#: Length of the longest instruction, in bytes.
_LONGEST: Final = 15

_Edges = Mapping[int, Sequence[int]]


def distances(
    blocks: Mapping[int, Block], roots: Iterable[int], limit: int
) -> dict[int, int]:
    """Instructions from the nearest of ``roots`` to the start of each block.

    Only blocks that begin within ``limit`` are included.
    """
    edges = {start: block.targets for start, block in blocks.items()}
    found = _shortest(blocks, edges, {r: 0 for r in roots if r in blocks}, limit)
    return found


def jumps(path: Sequence[int]) -> list[tuple[int, int]]:
    """The (from, to) pairs at which a path, a sequence of instruction addresses, is not
    sequential. A jump over less than an instruction looks sequential; discovery finds
    its target by itself, that of an indirect jump among the traced addresses.
    """
    return [
        (before, after)
        for before, after in pairwise(path)
        if not 0 < after - before <= _LONGEST
    ]


def paths_to_calls(
    blocks: dict[int, Block], hot: Sequence[int], fringe: Iterable[int]
) -> set[int]:
    """Starts of all blocks on a path to a system call, or to the ``fringe``.

    Blocks at ``hot`` addresses are ends of paths, too.
    """
    sources = predecessors(blocks)
    ends = [start for start in sorted(blocks) if blocks[start].numbers]
    ends += [start for start in hot if start in blocks]
    return reached([*ends, *fringe], lambda start: sources[start])


def short_paths(
    blocks: dict[int, Block],
    roots: Iterable[int],
    fringe: int,
    detour: int,
) -> set[int]:
    """Starts of the blocks on short paths from ``roots`` to a system call.

    A path from a root may be ``detour`` longer than the shortest one from this root.
    For a root without a path, blocks that begin within ``fringe`` are kept.
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
    """Starts of the ``known`` blocks, and of the blocks on paths around them.

    A path around them leaves a known block and returns to one, or ends at a system
    call, within ``detour`` instructions.
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

    A branch without a known target may lead to a system call, too: its miss will report
    the target.
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
    """Dijkstra's algorithm: path lengths to the starts of blocks, up to ``limit``.

    A path ends at a system call: the next one begins at its resume address.
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
