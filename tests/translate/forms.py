# SPDX-License-Identifier: GPL-2.0-only
"""Instances of an instruction form: what iced's description of it allows.

For tests over all forms of the allow-list. Registers of every kind that the translator
treats differently, memory at a host register, at a spilled register, with an index.
"""

from __future__ import annotations

from typing import Any

from iced_x86 import Encoder, Instruction, OpCodeInfo, OpCodeOperandKind, OpKind
from iced_x86 import Register as R

__all__ = ["instances"]

_KINDS = {
    value: name for name, value in vars(OpCodeOperandKind).items() if name.isupper()
}
#: In their own host registers, spilled, perhaps elsewhere.
_FILES = {
    "R8": (R.CL, R.R10L, R.SIL),
    "R16": (R.CX, R.R10W, R.SI),
    "R32": (R.ECX, R.R10D, R.ESI),
    "R64": (R.RCX, R.R10, R.RSI),
    "XMM": (R.XMM1, R.XMM9, R.XMM2),
    "YMM": (R.YMM1, R.YMM9, R.YMM2),
    "ZMM": (R.ZMM1, R.ZMM19, R.ZMM2),
    "K": (R.K1, R.K7, R.K2),
    "MM": (R.MM1, R.MM7, R.MM2),
}
_FIXED = {
    "AL": R.AL,
    "AX": R.AX,
    "EAX": R.EAX,
    "RAX": R.RAX,
    "CL": R.CL,
    "ST0": R.ST0,
    "STI_OPCODE": R.ST3,
}
_IMMEDIATES = {
    "IMM8": OpKind.IMMEDIATE8,
    "IMM16": OpKind.IMMEDIATE16,
    "IMM32": OpKind.IMMEDIATE32,
    "IMM64": OpKind.IMMEDIATE64,
    "IMM8SEX16": OpKind.IMMEDIATE8TO16,
    "IMM8SEX32": OpKind.IMMEDIATE8TO32,
    "IMM8SEX64": OpKind.IMMEDIATE8TO64,
    "IMM32SEX64": OpKind.IMMEDIATE32TO64,
    "IMM8_CONST_1": OpKind.IMMEDIATE8,
}
_IMPLICIT = {
    "ES_RDI": OpKind.MEMORY_ESRDI,
    "SEG_RSI": OpKind.MEMORY_SEG_RSI,
}
#: Base, index of the memory operand in each variant; size of the displacement.
_ADDRESSES = ((R.RBX, R.NONE, 1), (R.R10, R.R11, 4), (R.RSP, R.NONE, 1))


def instances(code: Any) -> list[bytes]:
    """Encodings of ``code``; empty when an operand is of a kind not known here."""
    info = OpCodeInfo(code)
    kinds = [_KINDS[info.op_kind(number)] for number in range(info.op_count)]
    found: dict[bytes, None] = {}
    for memory in (False, True):
        for variant in range(3):
            for masked in (False, True):
                made = _made(info, kinds, memory, variant, masked)
                if made is None:
                    continue
                encoder = Encoder(64)
                try:
                    encoder.encode(made, 0)
                except ValueError:
                    # A shape that this form does not have.
                    continue
                found[encoder.take_buffer()] = None
    return list(found)


def _made(
    info: OpCodeInfo, kinds: list[str], memory: bool, variant: int, masked: bool
) -> Instruction | None:
    made = Instruction()
    made.code = info.code
    if masked or info.require_op_mask_register:
        if not info.can_use_op_mask_register:
            return None
        made.op_mask = R.K1
        stores = memory and kinds[0].endswith("MEM")
        made.zeroing_masking = (
            info.can_use_zeroing_masking and variant == 1 and not stores
        )
    if masked and memory and info.can_broadcast:
        made.is_broadcast = True
    has_memory = False
    for number, kind in enumerate(kinds):
        file, _, how = kind.partition("_")
        if kind == "MEM" or (memory and kind.endswith("OR_MEM")):
            if has_memory or not memory:
                return None
            has_memory = True
            _set_memory(made, number, variant)
        elif kind in _IMMEDIATES:
            made.set_op_kind(number, _IMMEDIATES[kind])  # type: ignore[arg-type]
            value = 1 if kind == "IMM8_CONST_1" else 5
            if kind == "IMM64":
                made.set_immediate_u64(number, 0x1122_3344_5566)
            else:
                made.set_immediate_i32(number, value)
        elif kind in _FIXED:
            made.set_op_kind(number, OpKind.REGISTER)
            made.set_op_register(number, _FIXED[kind])  # type: ignore[arg-type]
        elif kind in _IMPLICIT:
            made.set_op_kind(number, _IMPLICIT[kind])  # type: ignore[arg-type]
            has_memory = memory
        elif file in _FILES and how in ("REG", "RM", "VVVV", "OPCODE", "OR_MEM", "IS4"):
            register = _FILES[file][(variant + number) % 3]
            made.set_op_kind(number, OpKind.REGISTER)
            made.set_op_register(number, register)  # type: ignore[arg-type]
        else:
            return None
    return made if has_memory == memory else None


def _set_memory(made: Instruction, number: int, variant: int) -> None:
    base, index, scale = _ADDRESSES[variant]
    made.set_op_kind(number, OpKind.MEMORY)
    made.memory_base = base  # type: ignore[assignment]
    made.memory_index = index  # type: ignore[assignment]
    made.memory_index_scale = scale
    made.memory_displacement = 64
    made.memory_displ_size = 1
