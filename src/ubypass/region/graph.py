# SPDX-License-Identifier: GPL-2.0-only
"""The control-flow graph of a region: basic blocks of user code and their ends.

Plain data; :mod:`ubypass.region.discover` finds the blocks.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from iced_x86 import Instruction

from ubypass.abi import SiteKey, Source
from ubypass.region.worklist import reached

__all__ = [
    "Block",
    "BlockId",
    "End",
    "Region",
    "loop_heads",
    "predecessors",
    "reachable",
]


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
    STOP = "stop"  # at an instruction past which control cannot be followed


#: Identifies a block: the user address of its start and, in the bits above, its clone
#: (:mod:`ubypass.translate.clone`); the user address alone in a discovered region.
BlockId = int


@dataclass(init=False)
class Block:
    """Straight-line user code; immutable.

    ``targets`` are all known addresses that control may reach next, in or out of the
    region. ``next_ip`` is the address after the last instruction (which a call
    pushes). ``numbers`` are the expected call numbers of a ``SYSCALL``, most frequent
    first; ``nr_known``: the block itself loads the only one into rax. ``stops`` are
    those of them behind which the region ends, while it goes on behind others.
    """

    start: BlockId
    instructions: tuple[Instruction, ...]
    next_ip: int
    end: End
    targets: tuple[BlockId, ...]
    numbers: tuple[int, ...]
    nr_known: bool
    stops: tuple[int, ...]

    def __init__(
        self,
        start: BlockId,
        instructions: tuple[Instruction, ...],
        next_ip: int,
        end: End,
        targets: tuple[int, ...],
        numbers: tuple[int, ...] = (),
        nr_known: bool = False,
        stops: tuple[int, ...] = (),
    ) -> None:
        # Explicit, so that mypyc compiles it: there are many blocks.
        self.start, self.instructions, self.next_ip = start, instructions, next_ip
        self.end, self.targets = end, targets
        self.numbers, self.nr_known, self.stops = numbers, nr_known, stops

    @property
    def last(self) -> Instruction:
        """The instruction that ends the block."""
        return self.instructions[-1]

    @property
    def open(self) -> bool:
        """Whether control may also go to targets not seen yet."""
        return self.end in (
            End.RET,
            End.JUMP_INDIRECT,
            End.CALL_INDIRECT,
            End.STOP,
        )


@dataclass(frozen=True)
class Region:
    """Blocks by start address, the sites of the entries, and the bytes.

    ``entries`` are sites of dispatches, likeliest first; the resume address of each is
    the start of a block. ``sources`` covers every byte of every block. ``seeds`` are
    the starts of blocks in which control was observed, ``traced`` the starts of blocks
    on traced paths. ``never_taken`` are the addresses of branches at the end of traced
    blocks that were not taken on those paths. ``execution_counts``: observed executions
    of a block, if known. ``nonpointers``: by instruction address, the registers that
    were seen to hold no user address there, one bit each.
    """

    blocks: dict[BlockId, Block]
    entries: tuple[SiteKey, ...]
    sources: tuple[Source, ...]
    predecessors: dict[int, tuple[int, ...]] = field(default_factory=dict)
    seeds: tuple[int, ...] = ()
    traced: frozenset[int] = frozenset()
    never_taken: frozenset[int] = frozenset()
    execution_counts: Mapping[int, int] = field(default_factory=dict)
    nonpointers: Mapping[int, int] = field(default_factory=dict)

    @property
    def resumes(self) -> tuple[int, ...]:
        """The resume addresses of the entries, each once, likeliest first."""
        return tuple(dict.fromkeys([entry.ip for entry in self.entries]))

    @property
    def instruction_count(self) -> int:
        """User instructions in all blocks."""
        return sum(len(block.instructions) for block in self.blocks.values())


def predecessors(blocks: dict[int, Block]) -> dict[int, tuple[int, ...]]:
    """Start addresses of the predecessors of each block."""
    found: dict[int, list[int]] = {start: [] for start in blocks}
    for block in blocks.values():
        for target in block.targets:
            if target in found:
                found[target].append(block.start)
    return {start: tuple(sources) for start, sources in found.items()}


def loop_heads(
    roots: Iterable[int], successors: Mapping[int, Sequence[int]]
) -> list[int]:
    """Targets of the back edges of a depth-first walk along ``successors``, in the
    order in which the edges are found.

    Roots without successors are skipped.
    """
    found: dict[int, None] = {}
    done: set[int] = set()
    for root in roots:
        if root in done or root not in successors:
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
                found[following] = None
            elif following not in done:
                path[following] = None
                stack.append((following, iter(successors[following])))
    return list(found)


def reachable(blocks: dict[int, Block], roots: tuple[int, ...]) -> set[int]:
    """Start addresses of the blocks that can be reached from ``roots``."""

    def successors(start: int) -> list[int]:
        return [target for target in blocks[start].targets if target in blocks]

    return reached([root for root in roots if root in blocks], successors)
