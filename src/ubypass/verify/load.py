# SPDX-License-Identifier: GPL-2.0-only
"""Decodes a translation to a program, and checks its metadata.

Decodes linearly from the first byte to the constants, without gaps, and checks every
rule about positions: branch targets, pairs and constants here, the others in
:mod:`.tables`, :mod:`.stubs`, :mod:`.fip` (rules *encoding*, *branch*, *stack*,
*path*). Must not depend on values.
"""

from __future__ import annotations

from typing import Final

from ubypass.abi import ENDBR64, Abi, Translation
from ubypass.verify.classify import text
from ubypass.verify.decode import Decoder, shared_decoder
from ubypass.verify.errors import Refusal, Rule, VerifyError
from ubypass.verify.fip import check_fip
from ubypass.verify.insn import Access, Insn, Kind
from ubypass.verify.program import NOWHERE, Program
from ubypass.verify.stubs import check_faults, check_stubs
from ubypass.verify.tables import ALIGN, check_tables

__all__ = ["load"]

_INT3: Final = 0xCC
_JMP_REL32: Final = 0xE9
_REL32: Final = 4  # bytes


def load(translation: Translation, abi: Abi) -> Program:
    """Decodes a translation and checks all rules about positions.

    Raises VerifyError.
    """
    check_tables(translation, abi)
    _landings(translation.code)
    program = Program(translation.code)
    _sweep(program, translation, abi)
    _check_flags(program, translation)
    _branches(program, translation)
    _pairs(program)
    check_stubs(program, translation)
    check_faults(program, translation)
    _constants(program, translation)
    if translation.x87:
        check_fip(program)
    return program


def _landings(code: bytes) -> None:
    """Checks that no indirect branch of the kernel can end here, not even in the middle
    of an instruction, or in a constant.
    """
    at = code.find(ENDBR64)
    if at >= 0:
        reason = "the bytes of endbr64, where indirect branches may end"
        raise VerifyError(Rule.BRANCH, reason, at)


def _sweep(program: Program, translation: Translation, abi: Abi) -> None:
    """Decodes every instruction with its offset; a dispatch area counts as one."""
    code, end = translation.code, translation.constants
    size = abi.dispatch_vector_size if translation.vector else abi.dispatch_size
    areas = sorted(dispatch.code_offset for dispatch in translation.dispatches)
    area = Insn(size, Kind.DISPATCH, noted=True)
    decoder = shared_decoder()
    out = (program.insns, program.offsets, program.values)
    at = 0
    for start in [*areas, end]:
        if start < at or start > end:
            raise VerifyError(Rule.PATH, "dispatches overlap or leave the code", start)
        at = decoder.sweep(code, at, start, out)
        if at < start:
            raise _refused(decoder, code, at, start)
        if start == end:
            break
        if at + size > end or code[at : at + size] != bytes([_INT3]) * size:
            raise VerifyError(Rule.PATH, "a dispatch is not int3 bytes", at)
        program.insns.append(area)
        program.offsets.append(at)
        program.values.append(0)
        at += size
    insns = program.insns
    places = program.places = [NOWHERE] * end
    for position, offset in enumerate(program.offsets):
        places[offset] = position
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
    """Checks that the flags declare the state that the code uses."""
    forms = program.forms
    if not translation.vector and any(insn.vector for insn in forms):
        raise VerifyError(Rule.PATH, "vector registers without the flag that says so")
    if translation.x87 and not translation.vector:
        raise VerifyError(Rule.PATH, "x87 without the vector flag")
    if translation.x87:
        return
    if any(insn.x87 or insn.kind is Kind.FIP for insn in forms):
        raise VerifyError(Rule.PATH, "x87 without the flag that says so")


def _refused(decoder: Decoder, code: bytes, at: int, end: int) -> VerifyError:
    """The error for which the decoder stopped at ``at``."""
    try:
        decoder.decode(code, at, end)
    except Refusal as refusal:
        rule = refusal.rule
        if rule is Rule.ENCODING:
            rule = decoder.refused(code, at)
        return VerifyError(rule, refusal.reason, at, text(code, at))
    return VerifyError(Rule.ENCODING, "the decoder contradicts itself", at)


def _branches(program: Program, translation: Translation) -> None:
    """Checks the targets of branches, the jumps to the exit path, and the entries."""
    code, jumps = translation.code, set(translation.jumps)
    insns, offsets = program.insns, program.offsets
    if len(jumps) != len(translation.jumps):
        raise VerifyError(Rule.BRANCH, "a jump is listed twice")
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
            targets[at] = program.place(end + values[at])
    for at in program.kinds[Kind.BRANCH]:
        end = offsets[at] + insns[at].length
        targets[at] = program.place(end + values[at])
    for at, target in targets.items():
        if target == NOWHERE:
            raise program.error(at, Rule.BRANCH, "no instruction starts at the target")
    for rel32 in sorted(jumps):
        raise VerifyError(Rule.BRANCH, "a listed jump is no jmp rel32", rel32)
    for entry in translation.entries:
        found = program.place(entry.code_offset)
        if found == NOWHERE:
            reason = "no instruction starts at the entry"
            raise VerifyError(Rule.PATH, reason, entry.code_offset)
        # Entries of several calls may have the same code.
        if found not in program.entries:
            program.entries.append(found)


def _pairs(program: Program) -> None:
    """Checks pairs: pushfq or push slot, directly followed by popfq or pop slot."""
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


def _constants(program: Program, translation: Translation) -> None:
    """Checks that rip-relative reads stay within the constants."""
    start, end = translation.constants, len(translation.code)
    for at in program.reads:
        place = program.offsets[at] + program.insns[at].length + program.values[at]
        if not start <= place <= end - ALIGN or (place - start) % ALIGN:
            raise program.error(at, Rule.MEMORY, "not one of the constants")
