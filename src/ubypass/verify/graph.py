# SPDX-License-Identifier: GPL-2.0-only
"""The control-flow graph of a program, and the order in which to walk it.

Depends on branch targets and on which blocks are exit stubs, not on what instructions
compute.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ubypass.verify.insn import Insn, Kind
from ubypass.verify.program import Program

__all__ = ["LEAVES", "Blocks", "Stub", "split", "survey"]

_JMP: Final = Kind.JMP
_BRANCH: Final = Kind.BRANCH
_TRAP: Final = Kind.TRAP
_EXIT_NUMBER: Final = Kind.EXIT_NUMBER
#: The jump target of a stub without a tail: the exit path.
LEAVES: Final = -1


@dataclass(frozen=True, slots=True)
class Stub:
    """An exit stub: only a prelude, the exit number, stores, a jump.

    ``needs``: predicates that must hold at its start, so that none of its instructions
    reads an undefined register or slot; ``sets``: further predicates that hold
    afterwards; ``number``: index of the exit number in the block.
    """

    needs: int
    sets: int
    number: int


@dataclass(slots=True)
class Blocks:
    """Basic blocks: parts of a program that are entered at their start only.

    Block ``n`` is positions ``starts[n]`` up to ``ends[n]``. Branches may leave a block
    before its end: ``branches`` has their positions and ``succs`` their targets, in the
    same order, followed by the next block if the end can be reached (``len(starts)`` is
    the end of the code). ``number`` has for each position the block that begins there,
    or ``len(starts)``. Exits by a fault or a dispatch are not in ``succs``: they lead
    to exit stubs, which do not return. ``aside`` are those blocks. ``stubs`` has a
    summary of each block that is an exit stub; ``succs`` of a stub has its tail or is
    empty.
    """

    starts: list[int]
    ends: list[int]
    succs: list[list[int]]
    branches: list[list[int]]
    number: list[int]
    aside: list[int] = field(default_factory=list)
    stubs: list[Stub | None] = field(default_factory=list)


# The summary of a block that was not looked at yet.
_NEW: Final = Stub(0, 0, -1)


def split(program: Program) -> Blocks:
    """Builds the control-flow graph."""
    insns, targets = program.insns, program.targets
    away = set(program.fixups.values())
    for pair in program.dispatch.values():
        away.update(pair)
    leaders = {0, *program.entries, *targets.values(), *away}
    for kind in (_JMP, _TRAP):
        leaders.update([at + 1 for at in program.kinds[kind]])
    leaders.discard(len(insns))
    starts = sorted(leaders)
    ends = [*starts[1:], len(insns)]
    count = len(starts)
    number = [count] * len(insns)
    for block, at in enumerate(starts):
        number[at] = block
    succs: list[list[int]] = [[] for _ in range(count)]
    branches: list[list[int]] = [[] for _ in range(count)]
    # A jmp ends its block, so it comes after all other branches there.
    for kind in (_BRANCH, _JMP):
        block = 0
        for at in program.kinds[kind]:
            target = targets.get(at)
            if target is not None:
                while at >= ends[block]:
                    block += 1
                branches[block].append(at)
                succs[block].append(number[target])
    # Most stubs consist of the same records, which are summarized once.
    known: dict[tuple[Insn, ...], Stub | None] = {}
    stubs: list[Stub | None] = []
    for block, end in enumerate(ends):
        kind = insns[end - 1].kind
        stub = None
        if kind is _JMP:
            key = tuple(insns[starts[block] : end])
            stub = known.get(key, _NEW)
            if stub is _NEW:
                stub = known[key] = _stub(key)
        elif kind is not _TRAP:
            succs[block].append(block + 1)
        stubs.append(stub)
    return Blocks(
        starts, ends, succs, branches, number, [number[at] for at in away], stubs
    )


def _stub(insns: tuple[Insn, ...]) -> Stub | None:
    """The summary of a block that ends in a jmp, if it is an exit stub."""
    needs = sets = 0
    number = -1
    for at, insn in enumerate(insns):
        if insn.kind is _EXIT_NUMBER and number < 0:
            number = at
            continue
        # Only dispatches make registers or slots undefined.
        fine = insn.tail if number >= 0 else not insn.kind and insn.prelude
        if not fine:
            return None
        needs |= insn.reads & ~sets
        sets |= insn.sets
    return Stub(needs, sets, number) if number >= 0 else None


def survey(blocks: Blocks, entries: list[int]) -> tuple[list[int], int]:
    """The place of each block in reverse postorder, and the number of back edges.

    ``entries`` are blocks. Loops aside, predecessors precede a block in this order;
    stubs are walked first and so come last.
    """
    count = len(blocks.starts)
    succs = blocks.succs
    place = [0] * count
    state = bytearray(count + 1)  # 0 new, 1 on the current path, 2 done
    state[count] = 2
    left = count
    cycles = 0
    for root in [*blocks.aside, *entries, *range(count)]:
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
