# SPDX-License-Identifier: GPL-2.0-only
"""Exits that are not branches of the user: faults, budget, dispatches.

All of them lead to exit stubs, and only a dispatch leads to one that keeps ``orig_ax``
(rules *fault*, *budget*, *path*). Must not depend on values.
"""

from __future__ import annotations

from typing import Final

from ubypass.abi import ExitFlag, Translation
from ubypass.verify.errors import Rule, VerifyError
from ubypass.verify.insn import Insn, Kind
from ubypass.verify.program import NOWHERE, Program

__all__ = ["check_faults", "check_stubs"]

# Instructions of an exit stub up to the exit number: it may rematerialize flags.
_PRELUDE: Final = 40
_DISPATCHED: Final = int(ExitFlag.DISPATCHED)
_TRAP: Final = Insn(1, Kind.TRAP)


def _stub(program: Program, at: int) -> int:
    """Position of the exit number in the exit stub that begins at ``at``, or NOWHERE.

    A few instructions that complete the user's state may precede it: flags
    rematerialized, rsp restored, the target stored.
    """
    if at == NOWHERE:
        return NOWHERE
    insns = program.insns
    for number in range(at, min(at + _PRELUDE, len(insns))):
        insn = insns[number]
        if insn.kind is Kind.EXIT_NUMBER:
            return number
        if not _in_stub(insn):
            break
    return NOWHERE


def _in_stub(insn: Insn) -> bool:
    """Whether the instruction is allowed in an exit stub before the exit number."""
    return insn.kind is Kind.PLAIN and insn.prelude


def check_stubs(program: Program, translation: Translation) -> None:
    """Check exit numbers, budget branches, and the exit stubs of dispatches.

    Fills ``charges`` and ``dispatch`` of the program. Raises VerifyError.
    """
    insns, values = program.insns, program.values
    keeping = [bool(int(record.flags) & _DISPATCHED) for record in translation.exits]
    after: set[int] = set()
    for at in program.kinds[Kind.EXIT_NUMBER]:
        if not 0 <= values[at] < len(keeping):
            raise program.error(at, Rule.PATH, "there is no such exit")
        if keeping[values[at]]:
            after.add(at)
    for at in program.kinds[Kind.CHARGE]:
        if values[at] <= 0:
            raise program.error(at, Rule.BUDGET, "the budget would grow")
        _check_charge(program, at)
        program.charges.add(at)
    for at in program.kinds[Kind.CHARGE_COUNT]:
        # rcx may be 0: charging rcx does not count as a charge.
        _check_charge(program, at)
    for dispatch in translation.dispatches:
        area = program.place(dispatch.code_offset)
        before = program.place(dispatch.pre_offset)
        behind = program.place(dispatch.post_offset)
        pre, post = _stub(program, before), _stub(program, behind)
        if area == NOWHERE or insns[area].kind is not Kind.DISPATCH:
            raise VerifyError(Rule.PATH, "no dispatch here", dispatch.code_offset)
        if pre == NOWHERE or post == NOWHERE:
            raise program.error(area, Rule.PATH, "pre or post is no exit stub")
        if pre in after or post not in after:
            reason = "pre must not, post must be an exit of reason DISPATCHED"
            raise program.error(area, Rule.PATH, reason)
        if translation.exits[values[post]].user_ip != dispatch.user_ip:
            reason = "filters would see another address than the post exit has"
            raise program.error(area, Rule.PATH, reason)
        program.dispatch[area] = (before, behind)
    _check_dispatched(program, after)


def _check_charge(program: Program, at: int) -> None:
    """Check the branch behind a charge."""
    insns = program.insns
    following = insns[at + 1] if at + 1 < len(insns) else _TRAP
    if not following.on_sign:
        raise program.error(at, Rule.BUDGET, "a charge without its js")
    if _stub(program, program.targets[at + 1]) == NOWHERE:
        raise program.error(at + 1, Rule.BUDGET, "js to other than an exit")


def _check_dispatched(program: Program, after: set[int]) -> None:
    """Check that only dispatches lead to exits that keep orig_ax."""
    if not after:
        return
    insns = program.insns
    stubs = set(after)
    for at in after:
        first = at - _PRELUDE
        while at > max(first, 0) and _in_stub(insns[at - 1]):
            at -= 1
            stubs.add(at)
    if not stubs.isdisjoint(program.targets.values()):
        for source, target in program.targets.items():
            if target in stubs:
                reason = "a branch to a DISPATCHED exit"
                raise program.error(source, Rule.PATH, reason)
    for at in stubs:
        if at in program.entries:
            raise program.error(at, Rule.PATH, "an entry at a DISPATCHED exit")
        before = insns[at - 1].kind if at else Kind.TRAP
        if at - 1 not in stubs and before not in (Kind.JMP, Kind.TRAP):
            raise program.error(at, Rule.PATH, "code runs into a DISPATCHED exit")


def check_faults(program: Program, translation: Translation) -> None:
    """Check for one entry for each instruction that can fault, sorted, none elsewhere.

    Fills ``fixups`` of the program. Raises VerifyError.
    """
    insns, fixups = program.insns, program.fixups
    previous = -1
    for fault in translation.faults:
        if fault.code_offset <= previous:
            reason = "fault entries are not sorted or not unique"
            raise VerifyError(Rule.FAULT, reason, fault.code_offset)
        previous = fault.code_offset
        at = program.place(fault.code_offset)
        if at == NOWHERE:
            reason = "no instruction starts at the fault entry"
            raise VerifyError(Rule.FAULT, reason, fault.code_offset)
        if not insns[at].may_fault:
            raise program.error(at, Rule.FAULT, "this instruction cannot fault")
        target = program.place(fault.fixup_offset)
        stub = _stub(program, target)
        if stub == NOWHERE:
            raise program.error(at, Rule.FAULT, "the fixup is no exit stub")
        number = program.values[stub]
        if int(translation.exits[number].flags) & _DISPATCHED:
            raise program.error(at, Rule.FAULT, "the fixup is a DISPATCHED exit")
        fixups[at] = target
    for at in program.faulty:
        if at not in fixups:
            raise program.error(at, Rule.FAULT, "no fault entry")
