# SPDX-License-Identifier: GPL-2.0-only
"""The shape of a region: basic blocks of user code and how they end.

Plain data; :mod:`ubypass.region.discover` finds the blocks.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from iced_x86 import Instruction

from ubypass.abi import Source

__all__ = ["Block", "BlockId", "End", "Region", "predecessors", "reachable"]


class End(enum.Enum):
    """How a block ends."""

    FALL = "fall"  # into the next block
    JUMP = "jump"
    BRANCH = "branch"  # targets: taken, not taken
    CALL = "call"  # targets: callee
    RET = "ret"  # targets: known return points, likely first
    JUMP_INDIRECT = "jump*"
    CALL_INDIRECT = "call*"
    SYSCALL = "syscall"  # targets: resume address
    STOP = "stop"  # at an instruction that control cannot be followed through


#: Names a block: the user address of its start and, above that, the clone that it is in
#: (:mod:`ubypass.translate.clone`); the user address alone in a discovered region.
BlockId = int


@dataclass(init=False)
class Block:
    """Straight-line user code; not to be changed.

    ``targets`` are all addresses that control may reach next, as far as known,
    in or out of the region. ``next_ip`` is the address after the last instruction
    (what a call pushes). ``numbers`` are the expected call numbers of a ``SYSCALL``,
    most frequent first; ``nr_known`` tells whether the block itself puts the only one
    into rax.
    """

    start: BlockId
    instructions: tuple[Instruction, ...]
    next_ip: int
    end: End
    targets: tuple[BlockId, ...]
    numbers: tuple[int, ...]
    nr_known: bool

    def __init__(
        self,
        start: BlockId,
        instructions: tuple[Instruction, ...],
        next_ip: int,
        end: End,
        targets: tuple[int, ...],
        numbers: tuple[int, ...] = (),
        nr_known: bool = False,
    ) -> None:
        # Written out, it is compiled: there are many.
        self.start, self.instructions, self.next_ip = start, instructions, next_ip
        self.end, self.targets = end, targets
        self.numbers, self.nr_known = numbers, nr_known

    @property
    def last(self) -> Instruction:
        """The instruction that ends the block."""
        return self.instructions[-1]

    @property
    def open(self) -> bool:
        """Whether control may also go to targets that were not seen yet."""
        return self.end in (
            End.RET,
            End.JUMP_INDIRECT,
            End.CALL_INDIRECT,
            End.STOP,
        )


@dataclass(frozen=True)
class Region:
    """Blocks by start address, the resume addresses that enter it, its bytes.

    ``entries`` are resume addresses of dispatches, likeliest first; each is the
    start of a block. ``sources`` covers every byte of every block. ``seeds`` are
    the starts of blocks that control was seen to go to, ``traced`` those of blocks on
    paths that were seen from their beginning to the end. ``never_taken`` are the
    addresses of branches at the end of traced blocks that never jumped on those paths.
    ``execution_counts``: how often a block was seen to run, where that is known.
    ``nonpointers``: by the address of an instruction the registers that were seen to
    hold no user address there, one bit each.
    """

    blocks: dict[BlockId, Block]
    entries: tuple[int, ...]
    sources: tuple[Source, ...]
    predecessors: dict[int, tuple[int, ...]] = field(default_factory=dict)
    seeds: tuple[int, ...] = ()
    traced: frozenset[int] = frozenset()
    never_taken: frozenset[int] = frozenset()
    execution_counts: Mapping[int, int] = field(default_factory=dict)
    nonpointers: Mapping[int, int] = field(default_factory=dict)

    @property
    def instruction_count(self) -> int:
        """User instructions in all blocks."""
        return sum(len(block.instructions) for block in self.blocks.values())


def predecessors(blocks: dict[int, Block]) -> dict[int, tuple[int, ...]]:
    """Start addresses of the blocks that lead to each block."""
    found: dict[int, list[int]] = {start: [] for start in blocks}
    for block in blocks.values():
        for target in block.targets:
            if target in found:
                found[target].append(block.start)
    return {start: tuple(sources) for start, sources in found.items()}


def reachable(blocks: dict[int, Block], roots: tuple[int, ...]) -> set[int]:
    """Start addresses of the blocks that can be reached from ``roots``."""
    seen: set[int] = set()
    todo = [root for root in roots if root in blocks]
    while todo:
        start = todo.pop()
        if start in seen:
            continue
        seen.add(start)
        todo.extend(t for t in blocks[start].targets if t in blocks)
    return seen
