# SPDX-License-Identifier: GPL-2.0-only
"""Instruction patterns with a role in the contract.

Bookkeeping, pairs, branches, clamps, and register forms whose result is known or
bounded. For everything else :mod:`.operands` is enough. Functions here return the
fields of :class:`.insn.Insn` that differ. Must not depend on positions.
"""

from __future__ import annotations

from typing import Final, TypedDict

from capstone import x86_const as cs

from ubypass import abi
from ubypass.verify import slots
from ubypass.verify.capstone_decoder import IMMEDIATE, MEMORY, REGISTER, Operand
from ubypass.verify.encoding import Encoding
from ubypass.verify.errors import Refusal, Rule
from ubypass.verify.insn import NONE, Access, Kind, Op
from ubypass.verify.operands import OperandEffects
from ubypass.verify.predicates import (
    FLAGS_SAVED,
    RCX_PAID,
    SYSFLAGS_SAVED,
    USER_RSP,
    defined,
)
from ubypass.verify.registers import REGISTERS, gpr64
from ubypass.words import signed64

__all__ = ["IMAGES", "Fields", "match_pattern"]

#: The predicate for each slot of flags.
IMAGES = {abi.FRAME_FLAGS: FLAGS_SAVED, abi.FRAME_SYSFLAGS: SYSFLAGS_SAVED}
_EQUAL = {"je": 1, "jne": -1}
_EXTENDING = ("movzx", "movsx")
_RCX = 1
_MASK64 = (1 << 64) - 1
_ECX: Final[int] = cs.X86_REG_ECX


class Fields(TypedDict, total=False):
    """The fields of an instruction's record that may differ."""

    kind: Kind
    op: Op
    a: int
    b: int
    keeps: int
    sets: int
    target_store: bool
    tail: bool
    on_sign: bool
    equal: int
    source: int
    value: int
    field_at: int
    field_size: int
    factor: int


def match_pattern(
    name: str, encoding: Encoding, effects: OperandEffects, operands: list[Operand]
) -> Fields:
    """The special fields of an instruction with capstone's name ``name``.

    Raises Refusal when the contract allows it only in another form.
    """
    attributes = encoding.form.attributes
    if "rel8" in attributes or "rel32" in attributes:
        kind = Kind.JMP if name == "jmp" else Kind.BRANCH
        return {
            "kind": kind,
            "op": Op.ABOVE if name == "ja" else _written(effects),
            "tail": kind is Kind.JMP,
            "on_sign": name == "js",
            "equal": _EQUAL.get(name, 0),
            **_immediate(encoding),
        }
    if name in ("pushfq", "popfq"):
        return {"kind": Kind.PUSH if name == "pushfq" else Kind.POP, "value": 0}
    if name in ("push", "pop"):
        if effects.access is not Access.FRAME or encoding.disp not in IMAGES:
            raise Refusal(Rule.STACK, f"{name} of other than a flags slot")
        kind = Kind.PUSH if name == "push" else Kind.POP
        return {"kind": kind, "value": encoding.disp}
    if effects.access is Access.STRING:
        a, b = effects.pointers, int(effects.repeated)
        return {"kind": Kind.STRING, "op": Op.STRING, "a": a, "b": b}
    if effects.access is Access.FRAME:
        start = encoding.disp & -8
        if start == abi.FRAME_EXIT:
            return _bookkeeping(name, encoding, effects, operands)
        if start == abi.FRAME_FIP:
            return _fip(encoding, effects, operands)
        return _frame(name, effects, operands)
    if effects.access is Access.CONSTANT and gpr64(operands[0]) == NONE:
        raise Refusal(Rule.MEMORY, "rip-relative other than cmp/mov r64")
    if effects.access is Access.NONE:
        return _values(name, encoding, effects, operands)
    if effects.access is Access.THREAD:
        return {}
    fields = _displacement(encoding)
    if effects.access is Access.USER and name in _EXTENDING:
        fields.update(_extended(name, operands))
    return fields


def _written(effects: OperandEffects) -> Op:
    return Op.GENERIC if effects.writes else Op.NOTHING


def _immediate(encoding: Encoding) -> Fields:
    """The value is the immediate."""
    size = encoding.immediate
    return {"field_at": encoding.length - size, "field_size": size}


def _displacement(encoding: Encoding) -> Fields:
    """The value is the displacement."""
    at, size = encoding.disp_at, encoding.disp_size
    return {"field_at": at, "field_size": size, "factor": encoding.unit}


def _bookkeeping(
    name: str, encoding: Encoding, effects: OperandEffects, operands: list[Operand]
) -> Fields:
    """Accesses to EXIT and BUDGET, with one allowed form each."""
    immediate = operands[1].kind == IMMEDIATE
    count = operands[1].register == _ECX
    if count and name == "sub" and encoding.disp == abi.FRAME_BUDGET:
        return {"kind": Kind.CHARGE_COUNT, "sets": RCX_PAID}
    if operands[0].kind != MEMORY or not immediate or effects.size != 4:
        raise Refusal(Rule.MEMORY, "EXIT and BUDGET take immediates only")
    if name == "mov" and encoding.disp == abi.FRAME_EXIT:
        return {"kind": Kind.EXIT_NUMBER, **_immediate(encoding)}
    if name == "sub" and encoding.disp == abi.FRAME_BUDGET:
        return {"kind": Kind.CHARGE, **_immediate(encoding)}
    raise Refusal(Rule.MEMORY, f"{name} on EXIT or BUDGET")


def _fip(
    encoding: Encoding, effects: OperandEffects, operands: list[Operand]
) -> Fields:
    """Stores to the FIP slot: only halves, only immediates."""
    immediate = operands[1].kind == IMMEDIATE
    if operands[0].kind != MEMORY or not immediate or effects.size != 4:
        raise Refusal(Rule.MEMORY, "FIP takes immediates of 32 bits only")
    half, rest = divmod(encoding.disp - abi.FRAME_FIP, 4)
    if rest:
        raise Refusal(Rule.MEMORY, "FIP takes halves only")
    return {"kind": Kind.FIP, "a": half, **_immediate(encoding)}


def _frame(name: str, effects: OperandEffects, operands: list[Operand]) -> Fields:
    """Loads, compares and stores of slots with a meaning."""
    whole = effects.size == 8
    if effects.stores:
        fields: Fields = {"keeps": ~USER_RSP if effects.slot == slots.RSP_SLOT else ~0}
        if name == "mov" and whole and operands[1].kind == REGISTER:
            target = effects.slot == abi.FRAME_TARGET
            fields["source"] = gpr64(operands[1])
            fields["target_store"] = target
            fields["tail"] = target or slots.is_user_register(effects.slot)
        return fields
    first = gpr64(operands[0])
    if first == NONE or not whole:
        return {}
    if effects.slot == abi.FRAME_LIMIT and name == "cmp":
        return {"op": Op.COMPARE, "a": first, "sets": 1 << first}
    if effects.slot == abi.FRAME_LIMIT and name == "cmovae":
        return {"op": Op.CLAMP, "a": first}
    if name == "mov":
        op = Op.USER_RSP if effects.slot == slots.RSP_SLOT else Op.RELOAD
        return {"op": op, "a": first}
    return {}


def _values(
    name: str, encoding: Encoding, effects: OperandEffects, operands: list[Operand]
) -> Fields:
    """Register forms whose result is known or bounded."""
    if not operands or operands[0].kind != REGISTER:
        return {}
    a = gpr64(operands[0])
    last = operands[-1]
    number, size, _ = REGISTERS.get(operands[0].register, (NONE, 0, False))
    immediate = last.kind == IMMEDIATE
    if name in ("mov", "movabs") and immediate and size >= 4:
        mask = (1 << 8 * size) - 1
        return {"op": Op.CONST, "a": number, "b": mask, **_immediate(encoding)}
    same = operands[0].register == last.register
    if name in ("xor", "sub") and same and size >= 4:
        # A zeroing idiom reads nothing.
        fact = defined(number)
        effects.reads &= ~fact
        return {"op": Op.CONST, "a": number, "value": 0, "sets": fact}
    if name == "cmp" and immediate and size == 4:
        return {"op": Op.EQUATE, "a": number, **_immediate(encoding)}
    if a == NONE:
        return {}
    if name == "mov" and gpr64(last) != NONE:
        return {"op": Op.COPY, "a": a, "b": gpr64(last)}
    if name == "lea" and encoding.index == NONE:
        if encoding.base == NONE:
            return {"op": Op.CONST, "a": a, "b": _MASK64, **_displacement(encoding)}
        return {"op": Op.SHIFT, "a": a, "b": encoding.base, **_displacement(encoding)}
    if name in ("inc", "dec"):
        return {"op": Op.SHIFT, "a": a, "b": a, "value": 1 if name == "inc" else -1}
    if name in _EXTENDING:
        return _extended(name, operands)
    if not immediate:
        return {}
    if name in ("add", "sub"):
        factor = 1 if name == "add" else -1
        return {
            "op": Op.SHIFT,
            "a": a,
            "b": a,
            "factor": factor,
            **_immediate(encoding),
        }
    if name == "cmp" and a == _RCX:
        return {"op": Op.COUNT, **_immediate(encoding)}
    if name == "and":
        step = -signed64(last.immediate)
        if step > 0 and step & (step - 1) == 0:
            return {"op": Op.ALIGN, "a": a, "value": step}
        return {"op": Op.SMALL, "a": a} if step <= 0 else {}
    if name == "shr" and last.immediate & 63 >= 32:
        return {"op": Op.SMALL, "a": a}
    return {}


def _extended(name: str, operands: list[Operand]) -> Fields:
    """Extensions from 8 or 16 to 64 bits; signed ones start at the lowest number."""
    a, source = gpr64(operands[0]), operands[1]
    if a == NONE or source.size not in (1, 2):
        return {}
    below = 1 << 8 * source.size - 1 if name == "movsx" else 0
    return {"op": Op.SMALL, "a": a, "b": below}
