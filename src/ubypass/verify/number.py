# SPDX-License-Identifier: GPL-2.0-only
"""At each dispatch eax holds the number of the call (rule *number*).

Searches the code backwards from each dispatch. On every path there must be an
instruction that sets the low half of rax to this number: a constant, or ``cmp eax,
number`` directly before a ``je`` or ``jne`` that only an equal number passes. Copies
are followed back to their source, also through slots of the frame. Anything else, an
entry, or another dispatch ends a path without a proof. Independent of the fixpoint.
"""

from __future__ import annotations

from typing import Final

from ubypass.abi import Translation
from ubypass.verify.errors import Rule
from ubypass.verify.insn import NONE, Access, Insn, Kind, Op
from ubypass.verify.program import Program

__all__ = ["check_numbers"]

_MASK32: Final = (1 << 32) - 1
_RAX: Final = 0
_REGISTERS: Final = 16
# Control does not fall through these.
_ENDS: Final = (Kind.JMP, Kind.TRAP)
# Results of the search at the end of a path.
_PROVED: Final = -1
_UNKNOWN: Final = -2


def check_numbers(program: Program, translation: Translation) -> None:
    """Raises VerifyError if a dispatch may make another call than the user's."""
    if not translation.dispatches:
        return
    search = _Search(program)
    for dispatch in translation.dispatches:
        at = program.place(dispatch.code_offset)
        if not search.holds(at, dispatch.nr):
            reason = f"eax may hold another number than {dispatch.nr}"
            raise program.error(at, Rule.NUMBER, reason)


class _Search:
    """A backward search in one program.

    A place is a host register, or 16 and more: an offset in the frame plus 16.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        #: Branches by their targets.
        self._sources: dict[int, list[int]] = {}
        for source, target in program.targets.items():
            self._sources.setdefault(target, []).append(source)
        #: Positions that control enters from outside, or from a fault or a dispatch.
        self._outside = {*program.entries, *program.fixups.values()}
        for pair in program.dispatch.values():
            self._outside.update(pair)

    def holds(self, at: int, number: int) -> bool:
        """Whether the low half of rax is always ``number`` at ``at``."""
        todo = [(at, _RAX)]
        seen = {(at, _RAX)}
        while todo:
            at, place = todo.pop()
            if at in self._outside:
                return False
            for source, jumped in self._before(at):
                found = self._through(source, jumped, place, number)
                if found == _UNKNOWN:
                    return False
                if found != _PROVED and (source, found) not in seen:
                    seen.add((source, found))
                    todo.append((source, found))
        return True

    def _before(self, at: int) -> list[tuple[int, bool]]:
        """The predecessors of ``at``, each with whether it jumps."""
        found = [(source, True) for source in self._sources.get(at, ())]
        if at and self._program.insns[at - 1].kind not in _ENDS:
            found.append((at - 1, False))
        return found

    def _through(self, at: int, jumped: bool, place: int, number: int) -> int:
        """The source of ``place`` before ``at``, or _PROVED, _UNKNOWN."""
        insn = self._program.insns[at]
        kind = insn.kind
        if kind is Kind.BRANCH:
            if insn.equal == (1 if jumped else -1) and self._is_compared(
                at, place, number
            ):
                return _PROVED
        elif kind is Kind.DISPATCH or kind is Kind.EXIT_NUMBER:
            return _UNKNOWN
        if place >= _REGISTERS:
            return _stored(insn, place)
        if all(register != place for register, _ in insn.writes):
            return place
        if insn.op is Op.CONST:
            value = self._program.values[at] & insn.b
            return _PROVED if not (value ^ number) & _MASK32 else _UNKNOWN
        if insn.op is Op.COPY:
            return insn.b
        if insn.op is Op.RELOAD:
            return insn.slot + _REGISTERS
        return _UNKNOWN

    def _is_compared(self, at: int, place: int, number: int) -> bool:
        """Whether the branch at ``at`` tests 32 bits of ``place`` for ``number``."""
        if not at or at in self._sources or at in self._outside:
            return False
        compare = self._program.insns[at - 1]
        return (
            compare.op is Op.EQUATE
            and compare.a == place
            and not (self._program.values[at - 1] ^ number) & _MASK32
        )


def _stored(insn: Insn, place: int) -> int:
    """The source of a slot's value behind ``insn``."""
    if insn.access is not Access.FRAME or insn.slot + _REGISTERS != place:
        return place
    if not insn.stores:
        return place
    return insn.source if insn.source != NONE else _UNKNOWN
