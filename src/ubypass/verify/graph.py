# SPDX-License-Identifier: GPL-2.0-only
"""The control-flow graph of a program, and the order to walk it in.

Knows where instructions lead and nothing of what they compute.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ubypass.verify.insn import Kind
from ubypass.verify.program import Program


@dataclass(slots=True)
class Blocks:
    """Straight pieces of a program.

    Block ``n`` is positions ``starts[n]`` up to ``ends[n]``; ``succs`` has the
    blocks that follow it by falling through or by a branch (``len(starts)`` is the
    end of the code), ``number`` the block that begins at a position. Ways out by a
    fault or a dispatch are not in ``succs``: they lead to exit stubs, from where
    nothing comes back. ``stubs`` are those blocks. ``through`` says of each block
    that is nothing but an exit number and a jump where the jump goes: a block, or
    LEAVES for the exit path; of all others WALK.
    """

    starts: list[int]
    ends: list[int]
    succs: list[list[int]]
    number: dict[int, int]
    stubs: list[int] = field(default_factory=list)
    through: list[int] = field(default_factory=list)


LEAVES: Final = -1
WALK: Final = -2


def split(program: Program) -> Blocks:
    """The control-flow graph."""
    insns, targets = program.insns, program.targets
    away = set(program.fixups.values())
    for pair in program.dispatch.values():
        away.update(pair)
    leaders = {0, *program.entries, *targets.values(), *away}
    for at in program.noted:
        kind = insns[at].kind
        if (
            kind is Kind.JMP
            or kind is Kind.BRANCH
            or kind is Kind.TRAP
            or kind is Kind.DISPATCH
        ):
            leaders.add(at + 1)
    leaders.discard(len(insns))
    starts = sorted(leaders)
    ends = [*starts[1:], len(insns)]
    number = dict(zip(starts, range(len(starts)), strict=True))
    succs: list[list[int]] = []
    through: list[int] = []
    for block, end in enumerate(ends):
        last = end - 1
        kind = insns[last].kind
        target = targets.get(last)
        follow = [] if target is None else [number[target]]
        if kind is not Kind.JMP and kind is not Kind.TRAP:
            follow.append(block + 1)
        succs.append(follow)
        way = WALK
        if (
            kind is Kind.JMP
            and last == starts[block] + 1
            and insns[last - 1].kind is Kind.EXIT_NUMBER
        ):
            way = follow[0] if follow else LEAVES
        through.append(way)
    stubs = [number[at] for at in away]
    return Blocks(starts, ends, succs, number, stubs, through)


def survey(blocks: Blocks, entries: list[int]) -> tuple[list[int], int]:
    """The place of each block in an order where, loops aside, what leads to a block
    comes before it; and how many edges close a cycle.

    ``entries`` are blocks. The order is the reverse of that in which a depth-first
    walk leaves the blocks; stubs are walked first and so come last.
    """
    count = len(blocks.starts)
    succs = blocks.succs
    place = [0] * count
    state = bytearray(count + 1)  # 0 new, 1 on the path, 2 done
    state[count] = 2
    left = count
    cycles = 0
    for root in [*blocks.stubs, *entries, *range(count)]:
        if state[root]:
            continue
        state[root] = 1
        stack = [root]
        following = [0]
        while stack:
            block = stack[-1]
            at = following[-1]
            if at < len(succs[block]):
                following[-1] = at + 1
                successor = succs[block][at]
                seen = state[successor]
                if not seen:
                    state[successor] = 1
                    stack.append(successor)
                    following.append(0)
                elif seen == 1:
                    cycles += 1
            else:
                stack.pop()
                following.pop()
                state[block] = 2
                left -= 1
                place[block] = left
    return place, cycles
