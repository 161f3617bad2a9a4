# SPDX-License-Identifier: GPL-2.0-only
"""The whole code as instructions, and metadata held against it.

Decodes linearly from the first byte to the constants, without gaps, and checks
every rule about places: branch targets, pairs, exit stubs, fault entries, tables
(rules *encoding*, *branch*, *stack*, *fault*, *path*). Knows nothing of values.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from ubypass.abi import (
    SYSCALL_NONE,
    Abi,
    Exit,
    ExitFlag,
    ExitReason,
    Translation,
)
from ubypass.verify.decode import Decoder, decoder, text
from ubypass.verify.errors import Refusal, Rule, VerifyError
from ubypass.verify.insn import Access, Insn, Kind

_INT3 = 0xCC
_JMP_REL32 = 0xE9
_REL32 = 4  # bytes
_PRELUDE = 8  # instructions of an exit stub up to the exit number
_ALIGN = 8  # bytes; of constants
_ALL_FLAGS = sum(ExitFlag)
_TRAP = Insn(1, Kind.TRAP)


@dataclass(slots=True)
class Program:
    """Decoded code. Positions are indexes into ``insns`` unless called offsets.

    ``leave`` has the instructions that jump to the exit path, ``targets`` the
    position that each direct branch goes to, ``fixups`` the exit stub of each
    instruction in the fault table, ``dispatch`` the (pre, post) stubs of each
    dispatch, ``charges`` the budget charges that are followed by their branch.
    """

    code: bytes
    insns: list[Insn]
    offsets: list[int]
    entries: list[int]
    leave: set[int]
    targets: dict[int, int]
    fixups: dict[int, int]
    dispatch: dict[int, tuple[int, int]]
    charges: set[int]

    def error(self, at: int, rule: Rule, reason: str) -> VerifyError:
        """The exception for a broken rule at position ``at``."""
        offset = self.offsets[at]
        dispatch = self.insns[at].kind is Kind.DISPATCH
        what = "dispatch" if dispatch else text(self.code, offset)
        return VerifyError(rule, reason, offset, what)


def load(translation: Translation, abi: Abi) -> Program:
    """Decodes a translation and checks everything about places.

    Raises VerifyError.
    """
    _check_tables(translation, abi)
    insns, offsets = _sweep(translation, abi)
    if not translation.vector and any(insn.vector for insn in insns):
        raise _refuse(Rule.PATH, "vector registers without the flag that says so")
    program = Program(translation.code, insns, offsets, [], set(), {}, {}, {}, set())
    places = _Places(program, translation)
    _branches(program, translation, places)
    _pairs(program)
    _stubs(program, translation, places)
    _faults(program, translation, places)
    _constants(program, translation)
    return program


def _refuse(rule: Rule, reason: str, offset: int = -1) -> VerifyError:
    return VerifyError(rule, reason, offset)


def _check_tables(translation: Translation, abi: Abi) -> None:
    """What can be said of the metadata without the code."""
    code, constants = translation.code, translation.constants
    if not code or not translation.entries or not translation.sources:
        raise _refuse(Rule.PATH, "nothing to verify: no code, entry or source")
    if len(code) > abi.max_code:
        raise _refuse(Rule.PATH, f"{len(code)} bytes of code, {abi.max_code} allowed")
    if not 0 < constants <= len(code):
        raise _refuse(Rule.PATH, "constants begin outside the code")
    if constants < len(code) and (constants | len(code)) % _ALIGN:
        raise _refuse(Rule.PATH, "constants are not aligned")
    for at in range(constants, len(code), _ALIGN):
        value = int.from_bytes(code[at : at + _ALIGN], "little")
        if value >= abi.task_size_max:
            raise _refuse(Rule.PATH, "a constant is no user address", at)
    ips = [entry.user_ip for entry in translation.entries]
    if len(set(ips)) != len(ips):
        raise _refuse(Rule.PATH, "two entries for one address")
    for number, record in enumerate(translation.exits):
        _check_exit(number, record)
    ips += [record.user_ip for record in translation.exits]
    ips += [record.cx for record in translation.exits]
    ips += [source.start for source in translation.sources]
    ips += [source.start + len(source.data) for source in translation.sources]
    if any(not 0 <= ip < abi.task_size_max for ip in ips):
        raise _refuse(Rule.PATH, "an address in the tables is no user address")
    if any(not source.data for source in translation.sources):
        raise _refuse(Rule.PATH, "an empty source")
    for dispatch in translation.dispatches:
        if abi.args.get(dispatch.nr, SYSCALL_NONE) == SYSCALL_NONE:
            reason = f"call {dispatch.nr} must not be dispatched"
            raise _refuse(Rule.PATH, reason, dispatch.code_offset)


def _check_exit(number: int, record: Exit) -> None:
    flags = int(record.flags)
    slots = ExitFlag.SLOT_FLAGS | ExitFlag.SLOT_SYSFLAGS
    dispatched = bool(flags & ExitFlag.DISPATCHED)
    if record.reason not in ExitReason or record.reason == ExitReason.NONE:
        raise _refuse(Rule.PATH, f"exit {number} has no valid reason")
    if flags & ~_ALL_FLAGS or flags & slots == slots:
        raise _refuse(Rule.PATH, f"exit {number} has impossible flags")
    if dispatched != (record.reason == ExitReason.DISPATCHED):
        raise _refuse(Rule.PATH, f"exit {number}: flag and reason DISPATCHED differ")


def _sweep(translation: Translation, abi: Abi) -> tuple[list[Insn], list[int]]:
    """Every instruction with its offset; dispatch areas count as one."""
    code, end = translation.code, translation.constants
    size = abi.dispatch_vector_size if translation.vector else abi.dispatch_size
    areas = sorted(dispatch.code_offset for dispatch in translation.dispatches)
    area = Insn(size, Kind.DISPATCH)
    engine = decoder()
    insns: list[Insn] = []
    offsets: list[int] = []
    at = 0
    for start in [*areas, end]:
        if start < at or start > end:
            raise _refuse(Rule.PATH, "dispatches overlap or leave the code", start)
        while at < start:
            trap = code[at] == _INT3
            insn = _TRAP if trap else _decode(engine, code, at, start)
            insns.append(insn)
            offsets.append(at)
            at += insn.length
        if start == end:
            break
        if at + size > end or code[at : at + size] != bytes([_INT3]) * size:
            raise _refuse(Rule.PATH, "a dispatch is not int3 bytes", at)
        insns.append(area)
        offsets.append(at)
        at += size
    return insns, offsets


def _decode(engine: Decoder, code: bytes, at: int, end: int) -> Insn:
    try:
        return engine.decode(code, at, end)
    except Refusal as refusal:
        rule = refusal.rule
        if rule is Rule.ENCODING:
            rule = engine.refused(code, at)
        raise VerifyError(rule, refusal.reason, at, text(code, at)) from None


class _Places:
    """Finds the instruction at an offset."""

    def __init__(self, program: Program, translation: Translation) -> None:
        self._offsets = program.offsets
        self._end = translation.constants

    def at(self, offset: int) -> int | None:
        """Position of the instruction that begins at ``offset``, if one does."""
        if not 0 <= offset < self._end:
            return None
        found = bisect_left(self._offsets, offset)
        if found == len(self._offsets) or self._offsets[found] != offset:
            return None
        return found


def _branches(program: Program, translation: Translation, places: _Places) -> None:
    """Targets of all branches; jumps to the exit path; entries."""
    code, jumps = translation.code, set(translation.jumps)
    if len(jumps) != len(translation.jumps):
        raise _refuse(Rule.BRANCH, "a jump is listed twice")
    for at, insn in enumerate(program.insns):
        if insn.kind not in (Kind.JMP, Kind.BRANCH):
            continue
        offset = program.offsets[at]
        end = offset + insn.length
        relative = int.from_bytes(
            code[end - insn.relative : end], "little", signed=True
        )
        field = end - _REL32
        if field in jumps and insn.kind is Kind.JMP and insn.length == 1 + _REL32:
            jumps.discard(field)
            if relative or code[offset] != _JMP_REL32:
                raise program.error(at, Rule.BRANCH, "a listed jump is not zero")
            program.leave.add(at)
            continue
        target = places.at(end + relative)
        if target is None:
            raise program.error(at, Rule.BRANCH, "no instruction starts at the target")
        program.targets[at] = target
    for field in sorted(jumps):
        raise _refuse(Rule.BRANCH, "a listed jump is no jmp rel32", field)
    for entry in translation.entries:
        found = places.at(entry.code_offset)
        if found is None:
            reason = "no instruction starts at the entry"
            raise _refuse(Rule.PATH, reason, entry.code_offset)
        program.entries.append(found)


def _pairs(program: Program) -> None:
    """pushfq or push slot, then popfq or pop slot, and nothing in between."""
    insns = program.insns
    seconds = set()
    for at, insn in enumerate(insns):
        if insn.kind is Kind.PUSH:
            if at + 1 == len(insns) or insns[at + 1].kind is not Kind.POP:
                raise program.error(at, Rule.STACK, "a push without its pop")
            seconds.add(at + 1)
        elif insn.kind is Kind.POP and at not in seconds:
            raise program.error(at, Rule.STACK, "a pop without its push")
    for source, target in program.targets.items():
        if target in seconds:
            raise program.error(source, Rule.STACK, "a branch into a push/pop pair")
    for target in program.entries:
        if target in seconds:
            raise program.error(target, Rule.STACK, "an entry into a push/pop pair")


def _stub(program: Program, at: int | None) -> int | None:
    """Position of the exit number in the exit stub that begins at ``at``.

    Before it there may be a few instructions that bring the user's state to where
    the exit wants it: flags made again, rsp put back, the target stored.
    """
    if at is None:
        return None
    insns = program.insns
    for number in range(at, min(at + _PRELUDE, len(insns))):
        insn = insns[number]
        if insn.kind is Kind.EXIT_NUMBER:
            return number
        if not _in_stub(insn):
            break
    return None


def _in_stub(insn: Insn) -> bool:
    """Whether an exit stub may have this before the exit number."""
    return insn.kind is Kind.PLAIN and insn.prelude


def _stubs(program: Program, translation: Translation, places: _Places) -> None:
    """Exit numbers, budget branches, and where dispatches leave."""
    exits, insns = translation.exits, program.insns
    after: set[int] = set()
    for at, insn in enumerate(insns):
        if insn.kind is Kind.EXIT_NUMBER:
            if insn.number >= len(exits):
                raise program.error(at, Rule.PATH, "there is no such exit")
            if exits[insn.number].flags & ExitFlag.DISPATCHED:
                after.add(at)
        elif insn.kind is Kind.CHARGE:
            following = insns[at + 1] if at + 1 < len(insns) else _TRAP
            if not following.on_sign:
                raise program.error(at, Rule.BUDGET, "a charge without its js")
            if _stub(program, program.targets[at + 1]) is None:
                raise program.error(at + 1, Rule.BUDGET, "js to other than an exit")
            program.charges.add(at)
    for dispatch in translation.dispatches:
        area = places.at(dispatch.code_offset)
        before, behind = places.at(dispatch.pre_offset), places.at(dispatch.post_offset)
        pre, post = _stub(program, before), _stub(program, behind)
        if area is None or insns[area].kind is not Kind.DISPATCH:
            raise _refuse(Rule.PATH, "no dispatch here", dispatch.code_offset)
        if before is None or behind is None or pre is None or post is None:
            raise program.error(area, Rule.PATH, "pre or post is no exit stub")
        if pre in after or post not in after:
            reason = "pre must not, post must be an exit of reason DISPATCHED"
            raise program.error(area, Rule.PATH, reason)
        program.dispatch[area] = (before, behind)
    _check_dispatched(program, after)


def _check_dispatched(program: Program, after: set[int]) -> None:
    """Only a dispatch leads to an exit that keeps orig_ax."""
    if not after:
        return
    insns = program.insns
    stubs = set(after)
    for at in after:
        first = at - _PRELUDE
        while at > max(first, 0) and _in_stub(insns[at - 1]):
            at -= 1
            stubs.add(at)
    for source, target in program.targets.items():
        if target in stubs:
            raise program.error(source, Rule.PATH, "a branch to a DISPATCHED exit")
    for at in stubs:
        if at in program.entries:
            raise program.error(at, Rule.PATH, "an entry at a DISPATCHED exit")
        before = insns[at - 1].kind if at else Kind.TRAP
        if at - 1 not in stubs and before not in (Kind.JMP, Kind.TRAP):
            raise program.error(at, Rule.PATH, "code runs into a DISPATCHED exit")


def _faults(program: Program, translation: Translation, places: _Places) -> None:
    """One entry for each instruction that can fault, sorted, none elsewhere."""
    previous = -1
    for fault in translation.faults:
        if fault.code_offset <= previous:
            reason = "fault entries are not sorted or not unique"
            raise _refuse(Rule.FAULT, reason, fault.code_offset)
        previous = fault.code_offset
        at = places.at(fault.code_offset)
        if at is None:
            reason = "no instruction starts at the fault entry"
            raise _refuse(Rule.FAULT, reason, fault.code_offset)
        if not program.insns[at].may_fault:
            raise program.error(at, Rule.FAULT, "this instruction cannot fault")
        target = places.at(fault.fixup_offset)
        stub = _stub(program, target)
        if target is None or stub is None:
            raise program.error(at, Rule.FAULT, "the fixup is no exit stub")
        number = program.insns[stub].number
        if translation.exits[number].flags & ExitFlag.DISPATCHED:
            raise program.error(at, Rule.FAULT, "the fixup is a DISPATCHED exit")
        program.fixups[at] = target
    for at, insn in enumerate(program.insns):
        if insn.must_fault and at not in program.fixups:
            raise program.error(at, Rule.FAULT, "no fault entry")


def _constants(program: Program, translation: Translation) -> None:
    """rip-relative reads stay in the constants."""
    start, end = translation.constants, len(translation.code)
    for at, insn in enumerate(program.insns):
        if insn.access is Access.CONSTANT:
            place = program.offsets[at] + insn.length + insn.disp
            if not start <= place <= end - _ALIGN or (place - start) % _ALIGN:
                raise program.error(at, Rule.MEMORY, "not one of the constants")
