# SPDX-License-Identifier: GPL-2.0-only
"""The dataflow analysis: a fixpoint over the control-flow graph.

Computes a state for the start of each block that all paths to the block imply, and
checks the precondition of every instruction in each walk of a block: states only get
weaker from walk to walk, so the checks of the last walk are decisive. Finally every
edge is compared with the state of its target, independently of the iteration. Rules
*leak* and *path*; addresses are checked by :mod:`.pointer`. Must not depend on bytes.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Final

from ubypass import abi
from ubypass.verify import predicates
from ubypass.verify.allowlist import GPR
from ubypass.verify.errors import Rule
from ubypass.verify.graph import Blocks, Stub
from ubypass.verify.insn import NONE, Access, Insn, Kind, Op
from ubypass.verify.intervals import Value
from ubypass.verify.patterns import IMAGES
from ubypass.verify.pointer import check_bounds, check_indexed, check_string
from ubypass.verify.program import Program
from ubypass.verify.state import (
    NO_VALUES,
    State,
    after_dispatch,
    at_pre,
    at_stub,
    values_after_dispatch,
)
from ubypass.verify.transfer import charge, not_above, transfer

__all__ = ["Flow"]

# An edge: the position of its source, the target block, predicates and values there.
_Edge = tuple[int, int, int, list[Value]]
_USER: Final = Access.USER
_BRANCH: Final = Kind.BRANCH
_JMP: Final = Kind.JMP
_EXIT_NUMBER: Final = Kind.EXIT_NUMBER
_DISPATCH: Final = Kind.DISPATCH
_POP: Final = Kind.POP
_ABOVE: Final = Op.ABOVE
_TARGET: Final = predicates.slot_defined(abi.FRAME_TARGET)


class Flow:
    """The fixpoint of one program, and the checks that depend on it.

    ``literal``: user accesses whose address is a constant.
    """

    def __init__(
        self,
        program: Program,
        blocks: Blocks,
        place: list[int],
        targeted: set[int],
        trusted: bool = False,
    ) -> None:
        """``place``: the order of blocks (:func:`.graph.survey`); ``targeted``:
        numbers of the exits that report FRAME_TARGET; ``trusted``: a branch may prove
        an address.
        """
        self._trusted = trusted
        self._program = program
        self._blocks = blocks
        self._targeted = targeted
        count = len(blocks.starts)
        # Exit stubs need no walk if everything they read is defined: an edge to a stub
        # is an edge to the target of its jump. Stubs that report TARGET are walked.
        self._stubs: list[Stub | None] = blocks.stubs.copy()
        for block, stub in enumerate(blocks.stubs):
            if stub is not None:
                number = program.values[blocks.starts[block] + stub.number]
                if number in targeted:
                    self._stubs[block] = None
        self._passed = bytearray(count)
        self._place = place
        self._at_place = [0] * count
        for block, number in enumerate(place):
            self._at_place[number] = block
        self._states: list[State | None] = [None] * count
        # The input of the last walk of each block, and the edges that it found.
        self._walked: list[tuple[int, list[Value]]] = [(0, NO_VALUES)] * count
        self._edges: list[list[_Edge]] = [[] for _ in range(count)]
        self._queue: list[int] = []
        self._queued = bytearray(count)
        self.literal: set[int] = set()

    def run(self) -> list[int]:
        """Computes and checks the fixpoint; returns the reachable blocks.

        Raises VerifyError.
        """
        for at in self._program.entries:
            block = self._blocks.number[at]
            self._merge(at, block, predicates.ENTRY, NO_VALUES)
        queue, at_place = self._queue, self._at_place
        while queue:
            block = at_place[heappop(queue)]
            self._queued[block] = False
            self._walk(block)
            for source, following, known, values in self._edges[block]:
                self._merge(source, following, known, values)
        return self._recheck()

    def _merge(self, source: int, block: int, known: int, values: list[Value]) -> None:
        """Merges the state of an edge into the state of its target."""
        if block == len(self._states):
            raise self._program.error(source, Rule.PATH, "code runs off its end")
        state = self._states[block]
        if state is None:
            self._states[block] = State(known, values)
        elif state.known == known and state.values is values:
            return
        else:
            if (state.known ^ known) & predicates.LEAVING:
                at = self._blocks.starts[block]
                raise self._program.error(
                    at, Rule.PATH, "reached with and without an exit number"
                )
            if not state.join(known, values):
                return
        if not self._queued[block]:
            self._queued[block] = True
            heappush(self._queue, self._place[block])

    def _recheck(self) -> list[int]:
        """Checks that every edge implies the final state of its target."""
        reached = [block for block, passed in enumerate(list(self._passed)) if passed]
        error = self._program.error
        states = self._states
        for at in self._program.entries:
            state = states[self._blocks.number[at]]
            if state is None or not state.implied_by(predicates.ENTRY, NO_VALUES):
                raise error(at, Rule.PATH, "no fixpoint")
        for block, state in enumerate(states):
            if state is None:
                continue
            reached.append(block)
            known, values = self._walked[block]
            if state.known != known or state.values is not values:
                raise error(self._blocks.starts[block], Rule.PATH, "no fixpoint")
            for source, following, known, values in self._edges[block]:
                after = states[following]
                # Unreachable unless State.join is wrong.
                if after is None or not after.implied_by(known, values):
                    raise error(source, Rule.PATH, "no fixpoint")
        return reached

    def _walk(self, block: int) -> None:
        """Checks a block from the state at its start; fills its edges."""
        state = self._states[block]
        assert state is not None
        known = state.known
        self._walked[block] = (known, state.values)
        edges = self._edges[block]
        edges.clear()
        start, end = self._blocks.starts[block], self._blocks.ends[block]
        if known & predicates.LEAVING:
            self._leave(block, start, known)
            return
        program, number = self._program, self._blocks.number
        insns, numbers, fixups = program.insns, program.values, program.fixups
        values = state.values.copy()
        for at in range(start, end):
            insn = insns[at]
            if insn.reads & ~known:
                raise self._leak(at, insn.reads & ~known)
            kind = insn.kind
            if kind:
                if kind is _BRANCH:
                    self._branch(block, at, known, values)
                    if insn.op:
                        small = known & predicates.RCX_COMPARED
                        known = transfer(insn, 0, known, values)
                        if insn.op is _ABOVE:
                            # Not above: holds only on the fall-through edge.
                            if small:
                                known |= predicates.RCX_SMALL
                            if self._trusted:
                                not_above(known, values)
                    continue
                if kind is _JMP:
                    if at in program.leave:
                        reason = "to the exit path without an exit number"
                        raise program.error(at, Rule.PATH, reason)
                    self._follow(
                        edges, at, self._blocks.succs[block][-1], known, values
                    )
                    return
                if kind is _EXIT_NUMBER:
                    self._exit_number(at, known)
                    self._leave(
                        block, at + 1, known & predicates.DEFINED | predicates.LEAVING
                    )
                    return
                if kind is _DISPATCH:
                    pre, post = program.dispatch[at]
                    self._stub(edges, at, number[pre], at_pre(known))
                    known = after_dispatch(known)
                    self._stub(edges, at, number[post], at_stub(known))
                    values = values_after_dispatch(values)
                    continue
                self._special(at, insn, known, values)
                if kind is _POP:
                    known = self._pop(at, numbers[at], known)
            elif insn.access is _USER:
                self._pointer(at, insn, values)
            if insn.may_fault:
                fixup = fixups.get(at)
                if fixup is not None:
                    self._stub(edges, at, number[fixup], at_stub(known))
            if insn.op:
                known = transfer(insn, numbers[at], known, values)
            else:
                known = known & insn.keeps | insn.sets
        self._follow(edges, end - 1, self._blocks.succs[block][-1], known, values)

    def _special(self, at: int, insn: Insn, known: int, values: list[Value]) -> None:
        """Checks the preconditions of the rarer kinds."""
        program, kind = self._program, insn.kind
        if kind is Kind.CHARGE:
            charge(program.values[at], values)
        elif kind is Kind.CHARGE_COUNT:
            if not known & predicates.RCX_SMALL:
                reason = "rcx was not bounded: the budget might grow"
                raise program.error(at, Rule.BUDGET, reason)
        elif kind is Kind.STRING:
            check_string(program, at, insn, known, values)
        elif kind is Kind.TRAP:
            raise program.error(at, Rule.PATH, "int3 can be reached")

    def _branch(self, block: int, at: int, known: int, values: list[Value]) -> None:
        """The edges of a conditional branch."""
        target = self._blocks.number[self._program.targets[at]]
        insn = self._program.insns[at]
        if insn.op:
            # loop changes rcx on both edges; ja depends only on the compare.
            values = values.copy()
            known = transfer(insn, 0, known, values)
        self._follow(self._edges[block], at, target, known, values.copy())

    def _follow(
        self,
        edges: list[_Edge],
        at: int,
        successor: int,
        known: int,
        values: list[Value],
    ) -> None:
        """An edge from ``at`` to the block ``successor``."""
        if successor < len(self._stubs) and self._stubs[successor] is not None:
            self._stub(edges, at, successor, at_stub(known))
        else:
            edges.append((at, successor, known, values))

    def _stub(self, edges: list[_Edge], at: int, block: int, known: int) -> None:
        """An edge from ``at`` to the exit stub ``block``, or through it to its tail."""
        stub = self._stubs[block]
        if stub is None or stub.needs & ~known:
            edges.append((at, block, known, NO_VALUES))
            return
        self._passed[block] = True
        tail = self._blocks.succs[block]
        if tail:
            known |= stub.sets & predicates.DEFINED | predicates.LEAVING
            # Consecutive accesses often have the same tail and predicates.
            if not (edges and edges[-1][1] == tail[0] and edges[-1][2] == known):
                edges.append((at, tail[0], known, NO_VALUES))

    def _leave(self, block: int, start: int, known: int) -> None:
        """From position ``start`` of a block on, after the exit number.

        No address is used any more: dropping values keeps shared tails from being
        walked once for each stub.
        """
        insns = self._program.insns
        at = start
        for at in range(start, self._blocks.ends[block]):
            insn = insns[at]
            if not insn.tail:
                reason = "after the exit number only stores and jmp"
                raise self._program.error(at, Rule.PATH, reason)
            if insn.reads & ~known:
                raise self._leak(at, insn.reads & ~known)
            known |= insn.sets
        for successor in self._blocks.succs[block]:
            self._edges[block].append((at, successor, known, NO_VALUES))

    def _exit_number(self, at: int, known: int) -> None:
        """Checks that TARGET is set at an exit that reports it."""
        program = self._program
        if program.values[at] in self._targeted and not known & _TARGET:
            following = program.insns[at + 1 : at + 2]
            if not following or not following[0].target_store:
                reason = "the exit reports TARGET, which is not set"
                raise program.error(at, Rule.LEAK, reason)

    def _pop(self, at: int, slot: int, known: int) -> int:
        """The second half of a pair, into host flags (0) or a slot; returns the
        predicates after it.
        """
        program = self._program
        source = program.values[at - 1]
        # Flags saved by generated code have AC set.
        restorable = source == 0 or known & IMAGES[source]
        if slot:
            return known | IMAGES[slot] if restorable else known & ~IMAGES[slot]
        if not restorable:
            reason = "flags not saved here: AC may be off, which shuts SMAP"
            raise program.error(at, Rule.STACK, reason)
        return known

    def _pointer(self, at: int, insn: Insn, values: list[Value]) -> None:
        if insn.index != NONE:
            check_indexed(self._program, at, insn, values)
            return
        value = values[insn.base]
        check_bounds(
            self._program, at, insn.base, value, self._program.values[at], insn.size
        )
        if isinstance(value, int):
            self.literal.add(at)
        else:
            self.literal.discard(at)

    def _leak(self, at: int, missing: int) -> Exception:
        reason = f"{_names(missing)} may hold kernel data"
        return self._program.error(at, Rule.LEAK, reason)


def _names(mask: int) -> str:
    """Registers and slots of a mask of predicates, for messages."""
    names = [name for n, name in enumerate(GPR) if mask & predicates.defined(n)]
    slot = ("TMP0", "TMP1", "TMP2", "TARGET")
    for number, name in enumerate(slot, 16 + predicates.DEFINED_SHIFT):
        if mask >> number & 1:
            names.append(name)
    return ", ".join(names)
