# SPDX-License-Identifier: GPL-2.0-only
"""What is known where: the fixpoint over the control-flow graph.

First finds a state for the start of each block that all paths to it imply, then
walks every block once more and checks the precondition of every instruction
and that what it leads to follows. The check does not trust the search. Rules
*pointer*, *speculation*, *leak*, *path*. Knows nothing of bytes.
"""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass

from ubypass import abi
from ubypass.verify.allowlist import GPR
from ubypass.verify.errors import Rule
from ubypass.verify.insn import Access, Insn, Kind
from ubypass.verify.program import Program
from ubypass.verify.slots import SLOT_BIT, TARGET_BIT
from ubypass.verify.state import (
    BRANCHED,
    RELOADED,
    State,
    Value,
    highest,
    interval,
)


@dataclass(slots=True)
class Blocks:
    """Straight pieces of a program.

    Block ``n`` is positions ``starts[n]`` up to ``ends[n]``; ``succs`` has the
    blocks that follow it by falling through or by a branch, ``side`` those that
    are reached by a fault or out of a dispatch.
    """

    starts: list[int]
    ends: list[int]
    succs: list[list[int]]
    side: list[list[int]]
    number: dict[int, int]


def split(program: Program) -> Blocks:
    """The control-flow graph.

    Raises VerifyError (rule *path*) when code runs off its end.
    """
    insns = program.insns
    leaders = {0, *program.entries, *program.targets.values()}
    leaders.update(program.fixups.values())
    for pair in program.dispatch.values():
        leaders.update(pair)
    for at, insn in enumerate(insns):
        if insn.kind in (Kind.JMP, Kind.BRANCH, Kind.TRAP, Kind.DISPATCH):
            leaders.add(at + 1)
    leaders.discard(len(insns))
    starts = sorted(leaders)
    ends = [*starts[1:], len(insns)]
    number = {start: block for block, start in enumerate(starts)}
    succs: list[list[int]] = []
    side: list[list[int]] = []
    for start, end in zip(starts, ends, strict=True):
        last = end - 1
        kind = insns[last].kind
        follow = [number[program.targets[last]]] if last in program.targets else []
        if kind not in (Kind.JMP, Kind.TRAP):
            # The end of the code is block len(starts): reached, it is refused.
            follow.append(number.get(end, len(starts)))
        succs.append(follow)
        away = [
            number[program.fixups[at]]
            for at in range(start, end)
            if at in program.fixups
        ]
        if last in program.dispatch:
            away += [number[at] for at in program.dispatch[last]]
        side.append(away)
    return Blocks(starts, ends, succs, side, number)


class Flow:
    """The fixpoint of one program, and the checks that rest on it."""

    def __init__(self, program: Program, blocks: Blocks, targeted: set[int]) -> None:
        """``targeted``: numbers of the exits that report FRAME_TARGET."""
        self._program = program
        self._blocks = blocks
        self._targeted = targeted
        self._states: dict[int, State] = {}
        self._changes: dict[int, list[int]] = {}
        self._queue: list[int] = []
        self._queued: set[int] = set()
        self.proven: Counter[str] = Counter()

    def run(self) -> int:
        """Finds the fixpoint, checks it; how many blocks can be reached.

        Raises VerifyError.
        """
        for at in self._program.entries:
            self._merge(at, self._blocks.number[at], State.entry())
        while self._queue:
            block = heapq.heappop(self._queue)
            self._queued.discard(block)
            self._walk(block, check=False)
        for block in sorted(self._states):
            self._walk(block, check=True)
        return len(self._states)

    def _merge(self, source: int, block: int, state: State) -> None:
        """``state`` also reaches ``block``, coming from position ``source``."""
        if block == len(self._blocks.starts):
            raise self._program.error(source, Rule.PATH, "code runs off its end")
        known = self._states.get(block)
        if known is None:
            self._states[block] = state
        else:
            if known.leaving != state.leaving:
                at = self._blocks.starts[block]
                raise self._program.error(
                    at, Rule.PATH, "reached with and without an exit number"
                )
            if not known.join(state, self._changes.setdefault(block, [0] * 16)):
                return
        if block not in self._queued:
            self._queued.add(block)
            heapq.heappush(self._queue, block)

    def _reach(self, source: int, block: int, state: State, check: bool) -> None:
        if not check:
            self._merge(source, block, state)
        elif block not in self._states or not state.implies(self._states[block]):
            # Never seen: it would be a mistake in State.join.
            raise self._program.error(source, Rule.PATH, "no fixpoint")

    def _walk(self, block: int, check: bool) -> None:
        program, blocks = self._program, self._blocks
        number = blocks.number
        state = self._states[block].copy()
        at = blocks.starts[block]
        for at in range(blocks.starts[block], blocks.ends[block]):
            insn = program.insns[at]
            if check:
                self._check(at, insn, state)
            if at in program.fixups:
                stub = State.stub(state.garbage)
                self._reach(at, number[program.fixups[at]], stub, check)
            if insn.kind is Kind.DISPATCH:
                self._dispatch(at, state, check)
            else:
                if insn.kind is Kind.POP:
                    state.pop(program.insns[at - 1], insn)
                state.step(insn)
        follow = blocks.succs[block]
        for successor in follow:
            self._reach(at, successor, state.copy() if follow[1:] else state, check)

    def _dispatch(self, at: int, state: State, check: bool) -> None:
        pre, post = self._program.dispatch[at]
        number = self._blocks.number
        before = State.stub(state.garbage_before_dispatch())
        state.dispatch()
        self._reach(at, number[pre], before, check)
        self._reach(at, number[post], State.stub(state.garbage), check)

    def _check(self, at: int, insn: Insn, state: State) -> None:
        """The precondition of the instruction at ``at``."""
        error = self._program.error
        if state.leaving:
            if not insn.tail:
                raise error(at, Rule.PATH, "after the exit number only stores and jmp")
        elif at in self._program.leave:
            raise error(at, Rule.PATH, "to the exit path without an exit number")
        if insn.kind is Kind.TRAP:
            raise error(at, Rule.PATH, "int3 can be reached")
        restores = insn.kind is Kind.POP and not insn.number
        if restores and not state.restorable(self._program.insns[at - 1]):
            reason = "flags not saved here: AC may be off, which shuts SMAP"
            raise error(at, Rule.STACK, reason)
        if insn.kind is Kind.EXIT_NUMBER and insn.number in self._targeted:
            following = self._program.insns[at + 1 : at + 2]
            later = bool(following) and following[0].target_store
            if state.garbage & TARGET_BIT and not later:
                raise error(at, Rule.LEAK, "the exit reports TARGET, which is not set")
        garbage = insn.reads & state.garbage
        if garbage:
            raise error(at, Rule.LEAK, f"{_names(garbage)} may hold kernel data")
        if insn.access is Access.USER:
            self._pointer(at, insn, state.regs[insn.base])
        elif insn.access is not Access.NONE:
            self.proven[insn.access.name.lower()] += 1

    def _pointer(self, at: int, insn: Insn, value: Value) -> None:
        """Rule *pointer*: docs/abi.md §6."""
        bounds = interval(value)
        name = GPR[insn.base]
        if bounds is None:
            if value is RELOADED or value is BRANCHED:
                rule, reason = Rule.SPECULATION, value.text
            else:
                rule, reason = Rule.POINTER, f"nothing is known about {name}"
            raise self._program.error(at, rule, reason)
        low = bounds[0] + insn.disp
        high = highest(bounds) + insn.disp + insn.size
        if low < abi.GUARD_LOW or high > abi.GUARD_HIGH:
            reason = (
                f"{name} is clamped{bounds[0]:+#x}…{highest(bounds):+#x}, out of guard"
            )
            raise self._program.error(at, Rule.POINTER, reason)
        self.proven["literal" if isinstance(value, int) else "clamped"] += 1


def _names(mask: int) -> str:
    """Registers and slots of a mask, for people."""
    names = [name for number, name in enumerate(GPR) if mask >> number & 1]
    slot = ("TMP0", "TMP1", "TMP2", "FIP", "TARGET")
    names += [name for bit, name in enumerate(slot, SLOT_BIT) if mask >> bit & 1]
    return ", ".join(names)
