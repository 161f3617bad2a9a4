# SPDX-License-Identifier: GPL-2.0-only
"""Give each call on a traced path its own copy of what it calls.

A function that is called from several places returns to several, and what is known of
addresses and flags at one of them holds no more for all. A copy returns to one place.
Only blocks on traced paths are copied, as long as there is room.

What leaves the traced paths goes on in code apart from them, *cold* code, so that what
is not known there is not lost here. It comes back where a system call returns or where
traced paths close a loop: there they have to do without much knowledge anyway.

Nothing here decides whether code is right: a copy compares the address that it returns
to as well, and leaves where it is another one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from ubypass.region.graph import Block, End, Region, predecessors

__all__ = ["COPY", "address", "cold", "inlined", "sibling"]

#: The start of a copy is its address and, times this, a number: that of its caller, or
#: 1 if it is cold.
COPY: Final = 1 << 48

_COLD: Final = 1
# Calls that are copied into one another at most: deeper chains are hardly ever hot.
_DEEP: Final = 12
_CALLS: Final = (End.CALL, End.CALL_INDIRECT)


def address(start: int) -> int:
    """The user address of the block that begins at ``start``, a copy or not."""
    return start % COPY


def cold(start: int) -> bool:
    """Whether the block that begins at ``start`` is in code apart from traced paths."""
    return start // COPY == _COLD


def sibling(start: int, other: int) -> int:
    """``other``, an address, in the same copy as ``start``."""
    return start - start % COPY + other


def inlined(region: Region, room: int) -> Region:
    """The region with up to ``room`` instructions in copies of blocks."""
    if not region.traced or any(start >= COPY for start in region.blocks):
        return region
    return _Copies(region, room).region()


class _Copies:
    """Copies in the making; 0 is the number of traced paths without a known caller."""

    def __init__(self, region: Region, room: int) -> None:
        self._region = region
        self._room = room
        #: By number: where calls return to, the innermost last; and the caller's.
        self._returns: list[tuple[int, ...]] = [(), ()]
        self._outer = [0, _COLD]
        self._numbers: dict[tuple[int, ...], int] = {(): 0}
        self._made: dict[int, Block] = {}
        self._seen: set[int] = set()
        self._todo: deque[int] = deque()
        self._cold: list[int] = []
        #: Where cold code comes back to traced paths; empty None until those
        #: are known.
        self._doors: set[int] | None = None

    def region(self) -> Region:
        """Follow control from the entries on, the traced paths first."""
        region = self._region
        for start in (*region.entries, *region.seeds):
            if start in region.blocks and start not in self._seen:
                self._seen.add(start)
                self._todo.append(start)
        self._make()
        traced = frozenset(s for s in self._made if address(s) in region.traced)
        doors = _loop_heads(region.entries, self._made, traced)
        self._doors = doors.union(s for s in region.entries if s in self._made)
        self._todo.extend(self._cold)
        self._make()
        blocks = {start: self._made[start] for start in sorted(self._made)}
        return replace(
            region,
            blocks=blocks,
            predecessors=predecessors(blocks),
            seeds=tuple(start for start in blocks if address(start) in region.seeds),
            traced=traced,
        )

    def _make(self) -> None:
        while self._todo:
            start = self._todo.popleft()
            self._made[start] = self._copy(start)

    def _at(self, caller: int, target: int) -> int:
        """Where to go for ``target``, an address, if possible in the copy for
        ``caller``.
        """
        block = self._region.blocks.get(target)
        if block is None:
            return target
        if target not in self._region.traced:
            caller = _COLD
        elif caller == _COLD and self._doors is not None and target in self._doors:
            caller = 0
        start = caller * COPY + target
        if start in self._seen:
            return start
        if caller > _COLD:
            if len(block.instructions) > self._room:
                return self._at(0, target)
            self._room -= len(block.instructions)
        self._seen.add(start)
        if caller == _COLD and self._doors is None:
            self._cold.append(start)
        else:
            self._todo.append(start)
        return start

    def _copy(self, start: int) -> Block:
        caller, original = divmod(start, COPY)
        block = self._region.blocks[original]
        if original not in self._region.traced:
            caller = _COLD
        targets = block.targets
        if block.end in _CALLS:
            caller = self._called(caller, block)
        elif block.end == End.RET and caller > _COLD:
            targets = (self._returns[caller][-1],)
            caller = self._outer[caller]
        made = tuple(self._at(caller, target) for target in targets)
        return replace(block, start=start, targets=made)

    def _called(self, caller: int, block: Block) -> int:
        """The number for what ``block`` calls."""
        back = block.next_ip
        if caller == _COLD:
            return _COLD
        if (
            back not in self._region.traced
            or back in self._returns[caller]
            or len(self._returns[caller]) >= _DEEP
        ):
            return 0
        wanted = (*self._returns[caller], back)
        number = self._numbers.get(wanted)
        if number is None:
            number = self._numbers[wanted] = len(self._returns)
            self._returns.append(wanted)
            self._outer.append(caller)
        return number


def _loop_heads(
    roots: Iterable[int], blocks: Mapping[int, Block], traced: frozenset[int]
) -> set[int]:
    """The blocks without a known caller at which traced paths close a loop."""
    found: set[int] = set()
    done: set[int] = set()
    for root in roots:
        if root not in traced or root in done:
            continue
        path: dict[int, None] = {root: None}
        stack = [(root, iter(blocks[root].targets))]
        while stack:
            at, ahead = stack[-1]
            following = next(ahead, None)
            if following is None:
                stack.pop()
                del path[at]
                done.add(at)
            elif following in path:
                if following < COPY:
                    found.add(following)
            elif following in traced and following not in done:
                path[following] = None
                stack.append((following, iter(blocks[following].targets)))
    return found
