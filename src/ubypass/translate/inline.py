# SPDX-License-Identifier: GPL-2.0-only
"""Give each call on a trodden way its own copy of what it calls.

A function that is called from several places returns to several, and what is known of
addresses and flags at one of them holds no more for all. A copy returns to one place.
Only blocks on trodden ways are copied, as long as there is room; what leaves a copy on
another way goes on in the code that is there for all.

Nothing here decides whether code is right: a copy compares the address that it returns
to as well, and leaves where it is another one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import replace

from ubypass.region.graph import Block, End, Region, predecessors

__all__ = ["COPY", "address", "inlined", "sibling"]

#: The start of a copy is its address and, times this, the number of its caller.
COPY = 1 << 48

# Calls that are copied into one another at most: deeper chains are hardly ever hot.
_DEEP = 12
_CALLS = (End.CALL, End.CALL_INDIRECT)


def address(start: int) -> int:
    """The user address of the block that begins at ``start``, a copy or not."""
    return start % COPY


def sibling(start: int, other: int) -> int:
    """``other``, an address, in the same copy as ``start``."""
    return start - start % COPY + other


def inlined(region: Region, room: int) -> Region:
    """The region with up to ``room`` instructions in copies of blocks."""
    if not region.trodden or any(start >= COPY for start in region.blocks):
        return region
    return _Copies(region, room).region()


class _Copies:
    """Copies in the making: callers are numbered, 0 is what is there for all."""

    def __init__(self, region: Region, room: int) -> None:
        self._region = region
        self._room = room
        #: By number: where calls return to, the innermost last; and the caller's.
        self._returns: list[tuple[int, ...]] = [()]
        self._outer = [0]
        self._numbers: dict[tuple[int, ...], int] = {(): 0}
        self._made: dict[int, Block] = {}
        self._seen: set[int] = set()
        self._todo: deque[int] = deque()

    def region(self) -> Region:
        """Follow control from the entries on."""
        region = self._region
        for start in (*region.entries, *region.asked):
            if start in region.blocks:
                self._at(0, start)
        while self._todo:
            start = self._todo.popleft()
            self._made[start] = self._copy(start)
        blocks = {start: self._made[start] for start in sorted(self._made)}
        return replace(
            region,
            blocks=blocks,
            predecessors=predecessors(blocks),
            trodden=self._trodden(blocks),
        )

    def _trodden(self, blocks: Mapping[int, Block]) -> frozenset[int]:
        """The blocks, copies or not, on trodden ways from the entries on."""
        found: set[int] = set()
        todo = [start for start in self._region.entries if start in blocks]
        while todo:
            start = todo.pop()
            if start not in found and address(start) in self._region.trodden:
                found.add(start)
                todo += [target for target in blocks[start].targets if target in blocks]
        return frozenset(found)

    def _at(self, caller: int, target: int) -> int:
        """Where to go for ``target``, an address, if possible in the copy for
        ``caller``.
        """
        block = self._region.blocks.get(target)
        if block is None:
            return target
        if caller and target not in self._region.trodden:
            caller = 0
        start = caller * COPY + target
        if start in self._seen:
            return start
        if caller:
            if len(block.instructions) > self._room:
                return self._at(0, target)
            self._room -= len(block.instructions)
        self._seen.add(start)
        self._todo.append(start)
        return start

    def _copy(self, start: int) -> Block:
        caller, original = divmod(start, COPY)
        block = self._region.blocks[original]
        targets = block.targets
        if block.end in _CALLS:
            inner = self._called(caller, block)
            made = tuple(self._at(inner, target) for target in targets)
        elif block.end == End.RET and caller:
            back = self._returns[caller][-1]
            made = (self._at(self._outer[caller], back),)
        else:
            made = tuple(self._at(caller, target) for target in targets)
        return replace(block, start=start, targets=made)

    def _called(self, caller: int, block: Block) -> int:
        """The number of ``block``, which calls, as a caller; 0 if nothing is to be
        copied for it.
        """
        trodden, back = self._region.trodden, block.next_ip
        returns = self._returns[caller]
        if (
            address(block.start) not in trodden
            or back not in trodden
            or back in returns
            or len(returns) >= _DEEP
        ):
            return 0
        wanted = (*returns, back)
        number = self._numbers.get(wanted)
        if number is None:
            number = self._numbers[wanted] = len(self._returns)
            self._returns.append(wanted)
            self._outer.append(caller)
        return number
