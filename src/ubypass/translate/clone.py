# SPDX-License-Identifier: GPL-2.0-only
"""Clone the callee for each call on a traced path.

A function with several callers has several return points, and facts about addresses and
flags at one caller do not hold at the others. A clone has one return point. Only blocks
on traced paths are cloned, as long as there is room, and only those of small functions:
code of which there are several copies is in no cache.

Control that leaves the traced paths continues in *cold* code, a clone of its own, so
that merges lose no facts on the traced paths. Cold code rejoins the traced paths at
resume addresses and at heads of traced loops, where few facts are known anyway.

A clone is left where the code gives up its return address: behind a change to another
stack, as in coroutines, the caller is unknown, and behind a ``pop`` of the return
address it is the caller's caller. A ``ret`` to a pushed address stays in its clone.

Cloning does not affect correctness: a clone compares its return address like any other
block, and exits on a mismatch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from iced_x86 import Instruction, Mnemonic, Register

from ubypass.region.graph import Block, BlockId, End, Region, loop_heads, predecessors
from ubypass.region.stackwalk import moved

__all__ = ["CLONE_STRIDE", "in_same_clone", "is_cold", "user_address", "with_clones"]

#: The id of a block in a clone is its user address plus this times the number of the
#: clone: the number of its caller, or 1 for cold code.
CLONE_STRIDE: Final = 1 << 48

_COLD: Final = 1
# Most instructions of a callee on traced paths, and largest depth of nested calls, to
# clone: docs/performance.md, "Clones of callees".
_LARGE: Final = 100
_DEEP: Final = 4
_CALLS: Final = (End.CALL, End.CALL_INDIRECT)

#: The offsets of rsp and rbp from the return address, in bytes; None if unknown.
_Heights = tuple[int | None, int | None]
_CALLED: Final[_Heights] = (0, None)
_UNKNOWN: Final[_Heights] = (None, None)
_WORD: Final = 8


def user_address(start: BlockId) -> int:
    """The user address of the start of the block, in a clone or not."""
    return start % CLONE_STRIDE


def is_cold(start: BlockId) -> bool:
    """Whether the block is in the clone for code off the traced paths."""
    return start // CLONE_STRIDE == _COLD


def in_same_clone(start: BlockId, other: int) -> BlockId:
    """The block at the user address ``other`` in the clone of ``start``."""
    return start - start % CLONE_STRIDE + other


def with_clones(region: Region, room: int) -> Region:
    """The region with clones of blocks, of up to ``room`` instructions in all."""
    if not region.traced or any(start >= CLONE_STRIDE for start in region.blocks):
        return region
    return _Cloner(region, room).region()


class _Cloner:
    """Clones under construction; number 0 are the blocks without a known caller."""

    def __init__(self, region: Region, room: int) -> None:
        self._region = region
        self._room = room
        #: By number: the return points of calls, innermost last; and the caller's.
        self._returns: list[tuple[int, ...]] = [(), ()]
        self._outer = [0, _COLD]
        #: And the heights in the caller at the call.
        self._at_call: list[_Heights] = [_UNKNOWN, _UNKNOWN]
        #: The heights at the start of each block, by one path to it: they only choose
        #: between clones.
        self._heights: dict[BlockId, _Heights] = {}
        self._numbers: dict[tuple[int, ...], int] = {(): 0}
        #: The return points of all calls.
        self._points = {
            block.next_ip for block in region.blocks.values() if block.end in _CALLS
        }
        self._made: dict[BlockId, Block] = {}
        #: By the start of a function: its instructions on traced paths.
        self._sizes: dict[int, int] = {}
        self._seen: set[BlockId] = set()
        self._todo: deque[BlockId] = deque()
        self._cold: list[BlockId] = []
        #: The blocks at which cold code rejoins traced paths; None until the traced
        #: paths are known.
        self._doors: set[BlockId] | None = None

    def region(self) -> Region:
        """Follow control from the entries on, the traced paths first."""
        region = self._region
        for start in (*region.resumes, *region.seeds):
            if start in region.blocks and start not in self._seen:
                self._seen.add(start)
                self._todo.append(start)
        self._make()
        traced = frozenset(s for s in self._made if user_address(s) in region.traced)
        doors = _loop_heads(region.resumes, self._made, traced)
        self._doors = doors.union(s for s in region.resumes if s in self._made)
        self._todo.extend(self._cold)
        self._make()
        blocks = {start: self._made[start] for start in sorted(self._made)}
        return replace(
            region,
            blocks=blocks,
            predecessors=predecessors(blocks),
            seeds=tuple(
                start for start in blocks if user_address(start) in region.seeds
            ),
            traced=traced,
        )

    def _make(self) -> None:
        while self._todo:
            start = self._todo.popleft()
            self._made[start] = self._clone(start)

    def _at(self, caller: int, target: int, heights: _Heights = _UNKNOWN) -> BlockId:
        """The block for the user address ``target``, in the clone for ``caller`` if
        there is room; reached with these heights.
        """
        block = self._region.blocks.get(target)
        if block is None:
            return target
        if target not in self._region.traced:
            caller = _COLD
        elif caller == _COLD and self._doors is not None and target in self._doors:
            caller = 0
        start = caller * CLONE_STRIDE + target
        if start in self._seen:
            return start
        if caller > _COLD:
            if len(block.instructions) > self._room:
                return self._at(0, target)
            self._room -= len(block.instructions)
        self._seen.add(start)
        self._heights[start] = heights
        if caller == _COLD and self._doors is None:
            self._cold.append(start)
        else:
            self._todo.append(start)
        return start

    def _clone(self, start: BlockId) -> Block:
        caller, original = divmod(start, CLONE_STRIDE)
        block = self._region.blocks[original]
        if original not in self._region.traced:
            caller = _COLD
        heights = self._heights.get(start, _UNKNOWN)
        if caller > _COLD:
            caller, heights = self._behind(caller, block, heights)
        targets = block.targets
        if block.end in _CALLS:
            caller = self._called(caller, block, heights)
            heights = _CALLED
        elif block.end == End.RET and caller > _COLD:
            height, frame = heights
            if height is not None and height < 0:
                # To an address that was pushed since the call; return points are among
                # the targets only because the ret is within a function.
                targets = tuple(t for t in targets if t not in self._points) or targets
                heights = height + _WORD, frame
            else:
                targets = (self._returns[caller][-1],)
                caller, heights = self._outer[caller], self._at_call[caller]
        made = tuple(self._at(caller, target, heights) for target in targets)
        return replace(block, start=start, targets=made)

    def _behind(
        self, caller: int, block: Block, heights: _Heights
    ) -> tuple[int, _Heights]:
        """The clone and the heights at the end of ``block``, before its ``ret``."""
        body = block.instructions
        for instruction in body[:-1] if block.end == End.RET else body:
            if _changes_stack(instruction):
                return 0, _UNKNOWN
            heights = moved(instruction, *heights)
            height = heights[0]
            while caller > _COLD and height is not None and height > 0:
                # The return address was popped.
                below, _ = self._at_call[caller]
                height = None if below is None else below + height - _WORD
                caller = self._outer[caller]
                heights = height, None
        return caller, heights

    def _size(self, function: int) -> int:
        """Instructions on traced paths in the function, without those of its callees;
        a few more than :data:`_LARGE` if there are more.
        """
        size = self._sizes.get(function)
        if size is not None:
            return size
        blocks, traced, size = self._region.blocks, self._region.traced, 0
        seen: set[int] = set()
        todo = [function]
        while todo and size <= _LARGE:
            start = todo.pop()
            if start in seen or start not in traced or start not in blocks:
                continue
            seen.add(start)
            block = blocks[start]
            size += len(block.instructions)
            if block.end in _CALLS:
                todo.append(block.next_ip)
            elif block.end != End.RET:
                todo.extend(block.targets)
        self._sizes[function] = size
        return size

    def _called(self, caller: int, block: Block, heights: _Heights) -> int:
        """The number of the clone for the callee of ``block``."""
        back = block.next_ip
        if caller == _COLD:
            return _COLD
        if (
            back not in self._region.traced
            or back in self._returns[caller]
            or len(self._returns[caller]) >= _DEEP
            or any(self._size(target) > _LARGE for target in block.targets)
        ):
            return 0
        wanted = (*self._returns[caller], back)
        number = self._numbers.get(wanted)
        if number is None:
            number = self._numbers[wanted] = len(self._returns)
            self._returns.append(wanted)
            self._outer.append(caller)
            self._at_call.append(heights)
        return number


def _changes_stack(instruction: Instruction) -> bool:
    """Whether rsp becomes a value that is no offset from the present stack frame."""
    mnemonic, operands = instruction.mnemonic, instruction.op_count
    if mnemonic == Mnemonic.XCHG:
        return Register.RSP in (instruction.op0_register, instruction.op1_register)
    if not operands or instruction.op0_register != Register.RSP:
        return False
    if mnemonic == Mnemonic.MOV:
        return instruction.op1_register != Register.RBP
    return mnemonic == Mnemonic.POP


def _loop_heads(
    roots: Iterable[BlockId],
    blocks: Mapping[BlockId, Block],
    traced: frozenset[BlockId],
) -> set[BlockId]:
    """The blocks without a known caller at which traced paths close a loop."""
    within = {
        at: [target for target in blocks[at].targets if target in traced]
        for at in traced
        if at in blocks
    }
    return {at for at in loop_heads(roots, within) if at < CLONE_STRIDE}
