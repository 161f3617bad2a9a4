# SPDX-License-Identifier: GPL-2.0-only
"""Classify the bytes of one instruction as an :class:`.insn.Insn`.

Two decoders must agree: :mod:`.encoding` with the allow-list, and capstone. If length,
mnemonic, number and size of operands, addresses or written registers differ, the
instruction is refused. Independent of positions, and without state.
"""

from __future__ import annotations

import re
from typing import Final

import capstone
from capstone import x86_const as cs

from ubypass.verify.allowlist import GPR
from ubypass.verify.capstone_decoder import MEMORY, REGISTER, CapstoneDecoder, Decoded
from ubypass.verify.encoding import Encoding
from ubypass.verify.errors import Refusal, Rule
from ubypass.verify.insn import NONE, Access, Insn, Kind, Op
from ubypass.verify.operands import OperandEffects
from ubypass.verify.patterns import Fields, match_pattern
from ubypass.verify.predicates import OF_FLAGS, OF_RCX, defined
from ubypass.verify.registers import RSP, gpr_of

__all__ = ["classify", "text"]


def _tests() -> int:
    """Capstone's bits for flags that are only read."""
    mask = 0
    for name, value in vars(cs).items():
        if name.startswith("X86_EFLAGS_TEST_"):
            mask |= value
    return mask


_TESTS: Final = _tests()
_RCX: Final = 1


def text(code: bytes, at: int) -> str:
    """Capstone's disassembly at ``at``, for messages; ``(bad)`` if there is none."""
    plain = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    for _, _, name, operands in plain.disasm_lite(code[at : at + 15], at, 1):
        return f"{name} {operands}".strip()
    return "(bad)"


def classify(
    capstone_decoder: CapstoneDecoder, raw: bytes, encoding: Encoding
) -> tuple[Insn, int]:
    """All checks of one instruction that depend only on its bytes.

    Returns the record and the number of bytes at the start of ``raw`` that determine
    it: the other bytes are numbers, and any numbers give the same record. Raises
    Refusal.
    """
    insn = capstone_decoder.decode(raw)
    if insn is None or insn.size != encoding.length:
        raise Refusal(Rule.ENCODING, "the two decoders disagree about the length")
    form = encoding.form
    name = insn.name
    predicate = "cc" in form.attributes
    if predicate:
        # Capstone numbers cmpltps and similar as other instructions, and reports
        # their flags.
        name = _without_predicate(insn.mnemonic, form.names[0])
    if name not in form.names:
        raise Refusal(Rule.ENCODING, f"the two decoders disagree: {form.names[0]}")
    # For x87 instructions the same field holds the FPU's flags.
    shown = 0 if predicate or name[0] == "f" or name == "wait" else insn.eflags
    if form.keeps_flags and shown & ~_TESTS:
        raise Refusal(Rule.ENCODING, "the two decoders disagree about flags")
    operands = insn.operands
    effects = OperandEffects(encoding, name)
    if encoding.mask and len(operands) > 1:
        effects.mask(operands[1])
        operands = [operands[0], *operands[2:]]
    if predicate and len(operands) > len(form.ops):
        operands = operands[:-1]
    if len(operands) != len(form.ops):
        raise Refusal(Rule.ENCODING, "the two decoders disagree about operands")
    if "str" in form.attributes:
        effects.string(operands)
        operands = []
    # String instructions have no such operands left.
    for number, operand in enumerate(operands):
        effect = form.ops[number]
        if operand.kind == REGISTER:
            effects.register(effect, operand.register)
        elif operand.kind == MEMORY:
            effects.memory(effect, operand)
        elif effect != "r":
            raise Refusal(Rule.ENCODING, "an immediate as destination")
    if encoding.memory != effects.has_memory:
        raise Refusal(Rule.ENCODING, "the two decoders disagree about memory")
    effects.implied()
    _compare_registers(insn, name, effects)
    special = match_pattern(name, encoding, effects, operands)
    return _record(name, encoding, effects, special), _decisive(name, encoding, effects)


def _record(
    name: str, encoding: Encoding, effects: OperandEffects, special: Fields
) -> Insn:
    form = encoding.form
    must_fault = effects.faults or form.fp or name in ("div", "idiv")
    keeps = special.get("keeps", ~0) & (~0 if form.keeps_flags else ~OF_FLAGS)
    for gpr in effects.writes:
        keeps &= ~(1 << gpr)
        if gpr == _RCX:
            keeps &= ~OF_RCX
    constant = effects.access is Access.CONSTANT
    field_size = special.get("field_size", 0)
    if field_size not in (0, 1, 4, 8):
        raise Refusal(Rule.ENCODING, "a number of an odd size decides")
    return Insn(
        encoding.length,
        special.get("kind", Kind.PLAIN),
        special.get("op", Op.GENERIC if effects.writes else Op.NOTHING),
        special.get("a", 0),
        special.get("b", 0),
        effects.reads,
        keeps,
        effects.sets | special.get("sets", 0),
        tuple(sorted(effects.writes.items())),
        effects.access,
        effects.base,
        effects.index,
        effects.scale,
        effects.size,
        must_fault,
        must_fault or effects.touches or effects.vector or form.vector,
        special.get("target_store", False),
        special.get("tail", False),
        special.get("on_sign", False),
        not (must_fault or effects.touches),
        form.long_features if encoding.longest else form.features,
        effects.vector or form.vector,
        form.x87,
        special.get("value", 0),
        special.get("field_at", 0),
        field_size,
        special.get("factor", 1),
        must_fault or constant or form.x87 or "kind" in special,
        special.get("equal", 0),
        effects.slot,
        effects.stores,
        special.get("source", NONE),
    )


def _decisive(name: str, encoding: Encoding, effects: OperandEffects) -> int:
    """The number of bytes that determine the record (see :mod:`.patterns`).

    Frame slots differ by their displacement, a mask by whether it aligns, and a shift
    by whether the result is small.
    """
    length = encoding.length
    if name in ("and", "shr") or "is4" in encoding.form.attributes:
        return length
    if encoding.memory and effects.access not in (Access.FRAME, Access.THREAD):
        return encoding.disp_at if encoding.disp_size else length - encoding.immediate
    return length - encoding.immediate


_PREDICATE: Final = re.compile(
    r"(false|true|eq|neq|lt|nlt|le|nle|gt|ngt|ge|nge|ord|unord)?(_[ou]?[qs])?"
)


def _without_predicate(mnemonic: str, name: str) -> str:
    """``name`` if ``mnemonic`` is ``name`` with a predicate, like vcmpeq_uqps."""
    stem, cmp, kind = name.partition("cmp")
    stem += cmp
    middle = mnemonic[len(stem) : len(mnemonic) - len(kind)]
    same = mnemonic.startswith(stem) and mnemonic.endswith(kind)
    return name if same and _PREDICATE.fullmatch(middle) else mnemonic


def _compare_registers(insn: Decoded, name: str, effects: OperandEffects) -> None:
    """Refuses registers that capstone reports and the allow-list lacks."""
    read, written = insn.read, insn.written
    if name == "test":
        # Capstone 5 reports a write of eax for "test eax, imm32" (A9h).
        written = []
    elif name == "stosq" and not effects.repeated:
        # And a count in rcx for this instruction even without rep.
        written = [number for number in written if gpr_of(number) != _RCX]
        read = [number for number in read if gpr_of(number) != _RCX]
    pairs = name in ("push", "pop", "pushfq", "popfq")
    for number in written:
        gpr = gpr_of(number)
        if gpr == RSP and not pairs:
            raise Refusal(Rule.STACK, "writes rsp")
        if gpr not in (NONE, RSP) and gpr not in effects.writes:
            raise Refusal(Rule.ENCODING, f"also writes {GPR[gpr]}")
    for number in read:
        gpr = gpr_of(number)
        if gpr in (NONE, RSP) or name == "nop":
            continue
        if not effects.reads & defined(gpr):
            raise Refusal(Rule.ENCODING, f"also reads {GPR[gpr]}")
