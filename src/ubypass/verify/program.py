# SPDX-License-Identifier: GPL-2.0-only
"""The whole code as instructions, and metadata held against it.

Decodes linearly from the first byte to the constants, without gaps, and checks
every rule about places: branch targets, pairs, exit stubs, fault entries, tables
(rules *encoding*, *branch*, *stack*, *fault*, *path*). Knows nothing of values.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ubypass.abi import (
    SYSCALL_NONE,
    Abi,
    Exit,
    ExitFlag,
    ExitReason,
    Translation,
)
from ubypass.verify.decode import Decoder, decoder
from ubypass.verify.errors import Refusal, Rule, VerifyError
from ubypass.verify.insn import Access, Insn, Kind
from ubypass.verify.judge import text

_INT3 = 0xCC
_JMP_REL32 = 0xE9
_REL32 = 4  # bytes
_NOWHERE = -1  # no position
_PRELUDE = 8  # instructions of an exit stub up to the exit number
_ALIGN = 8  # bytes; of constants
_USER_HIGH_BITS = 15  # of the upper half of an address below TASK_SIZE_MIN
_ALL_FLAGS = int(sum(ExitFlag))
_SLOTS = int(ExitFlag.SLOT_FLAGS | ExitFlag.SLOT_SYSFLAGS)
_DISPATCHED = int(ExitFlag.DISPATCHED)
_REASONS = frozenset(int(reason) for reason in ExitReason) - {int(ExitReason.NONE)}
_TRAP = Insn(1, Kind.TRAP)


@dataclass(slots=True)
class Program:
    """Decoded code. Positions are indexes into ``insns`` unless called offsets.

    ``values`` has the number beside each instruction, ``places`` the position at each
    offset. ``leave`` has the instructions that jump to the exit path, ``targets``
    the position that each direct branch goes to, ``fixups`` the exit stub of each
    instruction in the fault table, ``dispatch`` the (pre, post) stubs of each
    dispatch, ``charges`` the budget charges that are followed by their branch.
    ``kinds`` has the positions of each kind of instruction, plain ones excepted,
    ``faulty`` those that need a fault entry, ``reads`` those that read a constant;
    ``forms`` has each record once.
    """

    code: bytes
    insns: list[Insn] = field(default_factory=list)
    values: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    places: dict[int, int] = field(default_factory=dict)
    kinds: list[list[int]] = field(default_factory=lambda: [[] for _ in Kind])
    faulty: list[int] = field(default_factory=list)
    reads: list[int] = field(default_factory=list)
    forms: set[Insn] = field(default_factory=set)
    entries: list[int] = field(default_factory=list)
    leave: set[int] = field(default_factory=set)
    targets: dict[int, int] = field(default_factory=dict)
    fixups: dict[int, int] = field(default_factory=dict)
    dispatch: dict[int, tuple[int, int]] = field(default_factory=dict)
    charges: set[int] = field(default_factory=set)

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
    program = Program(translation.code)
    _sweep(program, translation, abi)
    _check_flags(program, translation)
    _branches(program, translation)
    _pairs(program)
    _stubs(program, translation)
    _faults(program, translation)
    _constants(program, translation)
    if translation.x87:
        _fips(program)
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
    flags, reason = int(record.flags), int(record.reason)
    if reason not in _REASONS:
        raise _refuse(Rule.PATH, f"exit {number} has no valid reason")
    if flags & ~_ALL_FLAGS or flags & _SLOTS == _SLOTS:
        raise _refuse(Rule.PATH, f"exit {number} has impossible flags")
    if bool(flags & _DISPATCHED) != (reason == ExitReason.DISPATCHED):
        raise _refuse(Rule.PATH, f"exit {number}: flag and reason DISPATCHED differ")


def _sweep(program: Program, translation: Translation, abi: Abi) -> None:
    """Every instruction with its offset; dispatch areas count as one."""
    code, end = translation.code, translation.constants
    size = abi.dispatch_vector_size if translation.vector else abi.dispatch_size
    areas = sorted(dispatch.code_offset for dispatch in translation.dispatches)
    area = Insn(size, Kind.DISPATCH, noted=True)
    engine = decoder()
    out = (program.insns, program.offsets, program.values)
    at = 0
    for start in [*areas, end]:
        if start < at or start > end:
            raise _refuse(Rule.PATH, "dispatches overlap or leave the code", start)
        at = engine.sweep(code, at, start, out)
        if at < start:
            raise _refused(engine, code, at, start)
        if start == end:
            break
        if at + size > end or code[at : at + size] != bytes([_INT3]) * size:
            raise _refuse(Rule.PATH, "a dispatch is not int3 bytes", at)
        program.insns.append(area)
        program.offsets.append(at)
        program.values.append(0)
        at += size
    insns = program.insns
    program.places = dict(zip(program.offsets, range(len(insns)), strict=True))
    program.forms = set(insns)
    kinds, faulty, reads = program.kinds, program.faulty, program.reads
    for at, insn in enumerate(insns):
        if insn.noted:
            if insn.kind:
                kinds[insn.kind].append(at)
            if insn.must_fault:
                faulty.append(at)
            if insn.access is Access.CONSTANT:
                reads.append(at)


def _check_flags(program: Program, translation: Translation) -> None:
    """The module knows which state the code uses."""
    forms = program.forms
    if not translation.vector and any(insn.vector for insn in forms):
        raise _refuse(Rule.PATH, "vector registers without the flag that says so")
    if translation.x87 and not translation.vector:
        raise _refuse(Rule.PATH, "x87 without the vector flag")
    if translation.x87:
        return
    if any(insn.x87 or insn.kind is Kind.FIP for insn in forms):
        raise _refuse(Rule.PATH, "x87 without the flag that says so")


def _refused(engine: Decoder, code: bytes, at: int, end: int) -> VerifyError:
    """Why the decoder went no further than ``at``."""
    try:
        engine.decode(code, at, end)
    except Refusal as refusal:
        rule = refusal.rule
        if rule is Rule.ENCODING:
            rule = engine.refused(code, at)
        return VerifyError(rule, refusal.reason, at, text(code, at))
    return VerifyError(Rule.ENCODING, "the decoder contradicts itself", at)


def _branches(program: Program, translation: Translation) -> None:
    """Targets of all branches; jumps to the exit path; entries."""
    code, jumps = translation.code, set(translation.jumps)
    insns, offsets, places = program.insns, program.offsets, program.places
    if len(jumps) != len(translation.jumps):
        raise _refuse(Rule.BRANCH, "a jump is listed twice")
    values, targets = program.values, program.targets
    for at in program.kinds[Kind.JMP]:
        insn = insns[at]
        offset = offsets[at]
        end = offset + insn.length
        if insn.length == 1 + _REL32 and end - _REL32 in jumps:
            jumps.discard(end - _REL32)
            if values[at] or code[offset] != _JMP_REL32:
                raise program.error(at, Rule.BRANCH, "a listed jump is not zero")
            program.leave.add(at)
        else:
            targets[at] = places.get(end + values[at], _NOWHERE)
    for at in program.kinds[Kind.BRANCH]:
        end = offsets[at] + insns[at].length
        targets[at] = places.get(end + values[at], _NOWHERE)
    for at, target in targets.items():
        if target == _NOWHERE:
            raise program.error(at, Rule.BRANCH, "no instruction starts at the target")
    for rel32 in sorted(jumps):
        raise _refuse(Rule.BRANCH, "a listed jump is no jmp rel32", rel32)
    for entry in translation.entries:
        found = places.get(entry.code_offset)
        if found is None:
            reason = "no instruction starts at the entry"
            raise _refuse(Rule.PATH, reason, entry.code_offset)
        program.entries.append(found)


def _pairs(program: Program) -> None:
    """pushfq or push slot, then popfq or pop slot, and nothing in between."""
    insns = program.insns
    seconds = set()
    for at in program.kinds[Kind.PUSH]:
        if at + 1 == len(insns) or insns[at + 1].kind is not Kind.POP:
            raise program.error(at, Rule.STACK, "a push without its pop")
        seconds.add(at + 1)
    for at in program.kinds[Kind.POP]:
        if at not in seconds:
            raise program.error(at, Rule.STACK, "a pop without its push")
    if not seconds.isdisjoint(program.targets.values()):
        for source, target in program.targets.items():
            if target in seconds:
                reason = "a branch into a push/pop pair"
                raise program.error(source, Rule.STACK, reason)
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


def _stubs(program: Program, translation: Translation) -> None:
    """Exit numbers, budget branches, and where dispatches leave."""
    insns, values, places = program.insns, program.values, program.places
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
        # What rcx takes may be nothing: it does not count as a charge.
        _check_charge(program, at)
    for dispatch in translation.dispatches:
        area = places.get(dispatch.code_offset)
        before = places.get(dispatch.pre_offset)
        behind = places.get(dispatch.post_offset)
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


def _check_charge(program: Program, at: int) -> None:
    """The branch behind a charge."""
    insns = program.insns
    following = insns[at + 1] if at + 1 < len(insns) else _TRAP
    if not following.on_sign:
        raise program.error(at, Rule.BUDGET, "a charge without its js")
    if _stub(program, program.targets[at + 1]) is None:
        raise program.error(at + 1, Rule.BUDGET, "js to other than an exit")


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


def _faults(program: Program, translation: Translation) -> None:
    """One entry for each instruction that can fault, sorted, none elsewhere."""
    insns, places, fixups = program.insns, program.places, program.fixups
    previous = -1
    for fault in translation.faults:
        if fault.code_offset <= previous:
            reason = "fault entries are not sorted or not unique"
            raise _refuse(Rule.FAULT, reason, fault.code_offset)
        previous = fault.code_offset
        at = places.get(fault.code_offset)
        if at is None:
            reason = "no instruction starts at the fault entry"
            raise _refuse(Rule.FAULT, reason, fault.code_offset)
        if not insns[at].may_fault:
            raise program.error(at, Rule.FAULT, "this instruction cannot fault")
        target = places.get(fault.fixup_offset)
        stub = _stub(program, target)
        if target is None or stub is None:
            raise program.error(at, Rule.FAULT, "the fixup is no exit stub")
        number = program.values[stub]
        if int(translation.exits[number].flags) & _DISPATCHED:
            raise program.error(at, Rule.FAULT, "the fixup is a DISPATCHED exit")
        fixups[at] = target
    for at in program.faulty:
        if at not in fixups:
            raise program.error(at, Rule.FAULT, "no fault entry")


def _constants(program: Program, translation: Translation) -> None:
    """rip-relative reads stay in the constants."""
    start, end = translation.constants, len(translation.code)
    for at in program.reads:
        place = program.offsets[at] + program.insns[at].length + program.values[at]
        if not start <= place <= end - _ALIGN or (place - start) % _ALIGN:
            raise program.error(at, Rule.MEMORY, "not one of the constants")


def _fips(program: Program) -> None:
    """What sets FIP in the FPU sets the slot, which is not 0 from then on.

    Else the module would leave an address of the kernel in the FPU. So stores to the
    slot stand directly behind such an instruction and nowhere else, one half of what
    they leave is not 0, and the slot stays an address of the user.
    """
    insns, values = program.insns, program.values
    stores: set[int] = set()
    for at in program.faulty:
        if not insns[at].x87:
            continue
        after = at + 1
        halves = [0, 0]
        while after < len(insns) and insns[after].kind is Kind.FIP:
            stores.add(after)
            halves[insns[after].a] = values[after]
            after += 1
        if not any(halves):
            raise program.error(at, Rule.LEAK, "FIP is not stored behind it")
    for at in program.kinds[Kind.FIP]:
        if at not in stores:
            raise program.error(at, Rule.LEAK, "FIP stored without an x87 address")
        if insns[at].a and values[at] >> _USER_HIGH_BITS:
            raise program.error(at, Rule.PATH, "FIP would be no user address")
    for source, target in program.targets.items():
        if target in stores:
            raise program.error(source, Rule.LEAK, "a branch behind an x87 instruction")
    for target in program.entries:
        if target in stores:
            raise program.error(target, Rule.LEAK, "an entry behind an x87 instruction")
