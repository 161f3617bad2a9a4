# SPDX-License-Identifier: GPL-2.0-only
"""Random instances of an instruction form: all shapes of operands it can have.

Knows iced's description of the form and nothing of translation.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from iced_x86 import (
    Code,
    Decoder,
    Encoder,
    Instruction,
    OpCodeInfo,
    OpCodeOperandKind,
    OpKind,
    Register,
    RoundingControl,
)

_KIND = {v: n for n, v in vars(OpCodeOperandKind).items() if n.isupper()}

_GPR = {
    8: [
        *(Register.AL, Register.CL, Register.DL, Register.BL, Register.SPL),
        *(Register.BPL, Register.SIL, Register.DIL),
        *(Register.R8L + n for n in range(8)),
    ],
    16: [Register.AX + n for n in range(16)],
    32: [Register.EAX + n for n in range(16)],
    64: [Register.RAX + n for n in range(16)],
}
_HIGH = (Register.AH, Register.CH, Register.DH, Register.BH)
# rcx, rsp, r10, r11, r15 are where translation does most.
_WEIGHTS = [3, 3, 2, 2, 2, 2, 2, 2, 2, 2, 4, 4, 1, 1, 1, 3]
_VECTOR = {"XMM": Register.XMM0, "YMM": Register.YMM0, "ZMM": Register.ZMM0}
_FIXED = {
    "AL": Register.AL,
    "AX": Register.AX,
    "EAX": Register.EAX,
    "RAX": Register.RAX,
    "CL": Register.CL,
    "DX": Register.DX,
    "ST0": Register.ST0,
}
_IMMEDIATES = {
    "IMM8": (OpKind.IMMEDIATE8, 8),
    "IMM16": (OpKind.IMMEDIATE16, 16),
    "IMM32": (OpKind.IMMEDIATE32, 32),
    "IMM64": (OpKind.IMMEDIATE64, 64),
    "IMM8SEX16": (OpKind.IMMEDIATE8TO16, 8),
    "IMM8SEX32": (OpKind.IMMEDIATE8TO32, 8),
    "IMM8SEX64": (OpKind.IMMEDIATE8TO64, 8),
    "IMM32SEX64": (OpKind.IMMEDIATE32TO64, 32),
}
_SPECIAL = {
    "ES_RDI": OpKind.MEMORY_ESRDI,
    "SEG_RSI": OpKind.MEMORY_SEG_RSI,
    "SEG_RDI": OpKind.MEMORY_SEG_RDI,
}
_NARROW = {
    OpKind.MEMORY_ESRDI: OpKind.MEMORY_ESEDI,
    OpKind.MEMORY_SEG_RSI: OpKind.MEMORY_SEG_ESI,
}
_ROUNDINGS = (
    *(RoundingControl.ROUND_TO_NEAREST, RoundingControl.ROUND_DOWN),
    *(RoundingControl.ROUND_UP, RoundingControl.ROUND_TOWARD_ZERO),
)


class Unsuitable(Exception):
    """The form has operands that no instance here can have."""


@dataclass(frozen=True, slots=True)
class Places:
    """Addresses that operands refer to: ``data`` for rip-relative ones."""

    data: int
    size: int


def instance(code: int, rng: random.Random, places: Places, ip: int) -> Instruction:
    """A random instance at ``ip``. Raises Unsuitable."""
    for _ in range(30):
        made = _make(code, rng, places)
        try:
            encoder = Encoder(64)
            encoder.encode(made, ip)
            data = encoder.take_buffer()
        except ValueError:
            # High bytes next to a REX prefix, and the like.
            continue
        decoded = next(iter(Decoder(64, data, ip=ip)))
        if decoded.code == code and decoded.len == len(data):
            return decoded
    raise Unsuitable(f"no instance of form {code} can be encoded")


def _make(code: int, rng: random.Random, places: Places) -> Instruction:
    info = OpCodeInfo(code)
    made = Instruction()
    made.code = code
    for number in range(info.op_count):
        _operand(made, info, number, _KIND[info.op_kind(number)], rng, places)
    _string_addresses(made, rng)
    memory = any(
        made.op_kind(number) == OpKind.MEMORY for number in range(info.op_count)
    )
    if info.can_use_lock_prefix and made.op0_kind == OpKind.MEMORY:
        made.has_lock_prefix = rng.random() < 0.3
    if info.can_use_rep_prefix and rng.random() < 0.5:
        made.has_rep_prefix = True
    elif info.can_use_repne_prefix and rng.random() < 0.3:
        made.has_repne_prefix = True
    if info.can_use_op_mask_register and (
        info.require_op_mask_register or rng.random() < 0.6
    ):
        made.op_mask = Register.K1 + rng.randrange(7)
        if info.can_use_zeroing_masking and made.op0_kind != OpKind.MEMORY:
            made.zeroing_masking = rng.random() < 0.4
    if memory:
        made.is_broadcast = info.can_broadcast and rng.random() < 0.3
    elif info.can_use_rounding_control and rng.random() < 0.2:
        made.rounding_control = rng.choice(_ROUNDINGS)
    elif info.can_suppress_all_exceptions and rng.random() < 0.2:
        made.suppress_all_exceptions = True
    return made


def _string_addresses(made: Instruction, rng: random.Random) -> None:
    """Sometimes edi and esi, sometimes another segment."""
    kinds = [made.op_kind(number) for number in range(made.op_count)]
    strings = {OpKind.MEMORY_ESRDI, OpKind.MEMORY_SEG_RSI} & set(kinds)
    if not strings:
        return
    if rng.random() < 0.1:
        for number, kind in enumerate(kinds):
            if kind in _NARROW:
                made.set_op_kind(number, _NARROW[kind])
    elif rng.random() < 0.1 and OpKind.MEMORY_SEG_RSI in kinds:
        made.segment_prefix = Register.FS


def _operand(
    made: Instruction,
    info: OpCodeInfo,
    number: int,
    kind: str,
    rng: random.Random,
    places: Places,
) -> None:
    if kind == "MEM" or (kind.endswith("_OR_MEM") and rng.random() < 0.55):
        made.set_op_kind(number, OpKind.MEMORY)
        _memory(made, rng, places)
        return
    if kind == "MEM_OFFS":
        made.set_op_kind(number, OpKind.MEMORY)
        made.memory_displacement = places.data + 8 * rng.randrange(places.size // 8)
        made.memory_displ_size = 8
        return
    if kind in _SPECIAL:
        made.set_op_kind(number, _SPECIAL[kind])
        return
    if kind == "IMM8_CONST_1":
        made.set_op_kind(number, OpKind.IMMEDIATE8)
        made.set_immediate_u64(number, 1)
        return
    if kind in _IMMEDIATES:
        op_kind, bits = _IMMEDIATES[kind]
        if number and kind == "IMM8" and made.op_kind(number - 1) == OpKind.IMMEDIATE8:
            op_kind = OpKind.IMMEDIATE8_2ND
        elif kind == "IMM8" and info.op_count > number + 1 and number:
            op_kind = OpKind.IMMEDIATE8
        made.set_op_kind(number, op_kind)
        value = _immediate(rng, bits)
        if kind.find("SEX") > 0:
            value = _extended(value, bits)
            if kind == "IMM8SEX16":
                value &= 0xFFFF
            elif kind == "IMM8SEX32":
                value &= 0xFFFFFFFF
        made.set_immediate_u64(number, value)
        return
    made.set_op_kind(number, OpKind.REGISTER)
    made.set_op_register(number, _register(kind, info, rng))


def _register(kind: str, info: OpCodeInfo, rng: random.Random) -> int:
    if kind in _FIXED:
        return _FIXED[kind]
    start = kind.split("_")[0]
    if start in ("R8", "R16", "R32", "R64"):
        if start == "R8" and rng.random() < 0.25:
            return rng.choice(_HIGH)
        return rng.choices(_GPR[int(start[1:])], _WEIGHTS)[0]
    if start in _VECTOR:
        count = 32 if info.encoding == 2 else 16
        return _VECTOR[start] + rng.randrange(count)
    if start == "MM":
        return Register.MM0 + rng.randrange(8)
    if start == "STI":
        return Register.ST0 + rng.randrange(8)
    if start == "K":
        return Register.K0 + rng.randrange(8)
    if start == "KP1":
        return Register.K0 + 2 * rng.randrange(4)
    raise Unsuitable(f"operand {kind}")


def _immediate(rng: random.Random, bits: int) -> int:
    kind = rng.random()
    if kind < 0.25:
        return rng.randrange(min(1 << bits, 70))
    if kind < 0.4:
        return (1 << bits) - rng.randrange(1, 40)
    if kind < 0.5:
        return 1 << rng.randrange(bits)
    return rng.getrandbits(bits)


def _extended(value: int, bits: int) -> int:
    if value >> (bits - 1):
        value -= 1 << bits
    return value & ((1 << 64) - 1)


def _memory(made: Instruction, rng: random.Random, places: Places) -> None:
    """One of all shapes of an address."""
    gpr = _GPR[64]
    base = rng.choices(gpr, _WEIGHTS)[0]
    index = rng.choices(gpr, _WEIGHTS)[0]
    while index == Register.RSP:
        index = rng.choice(gpr)
    shape = rng.random()
    if shape < 0.30:
        made.memory_base = base
        _displacement(made, rng)
    elif shape < 0.60:
        made.memory_base = base
        made.memory_index = index
        made.memory_index_scale = rng.choice((1, 2, 4, 8))
        _displacement(made, rng)
    elif shape < 0.64:
        made.memory_index = index
        made.memory_index_scale = rng.choice((1, 2, 4, 8))
        made.memory_displ_size = 8
        made.memory_displacement = _signed(rng.choice((0, 64, -8, 0x12345)))
    elif shape < 0.76:
        made.memory_base = Register.RIP
        made.memory_displ_size = 8
        made.memory_displacement = places.data + rng.randrange(places.size)
        if rng.random() < 0.7:
            made.memory_displacement &= ~63 & ((1 << 64) - 1)
    elif shape < 0.79:
        made.memory_displ_size = 8
        made.memory_displacement = rng.randrange(1 << 31)
    elif shape < 0.86:
        made.segment_prefix = Register.FS
        made.memory_displ_size = 8
        made.memory_displacement = _signed(8 * rng.randint(-40, 40))
    elif shape < 0.90:
        made.segment_prefix = Register.FS
        if rng.random() < 0.5:
            made.memory_base = base
        if rng.random() < 0.5 or made.memory_base == Register.NONE:
            made.memory_index = index
            made.memory_index_scale = rng.choice((1, 2, 4, 8))
            made.memory_displ_size = 8
        if rng.random() < 0.2:
            for name in ("memory_base", "memory_index"):
                wide = getattr(made, name)
                if wide != Register.NONE:
                    setattr(made, name, wide - Register.RAX + Register.EAX)
        _displacement(made, rng)
    elif shape < 0.96:
        alone = rng.random() < 0.2
        if not alone:
            made.memory_base = base - Register.RAX + Register.EAX
        else:
            made.memory_displ_size = 8
        if alone or rng.random() < 0.5:
            made.memory_index = index - Register.RAX + Register.EAX
            made.memory_index_scale = rng.choice((1, 2, 4, 8))
        _displacement(made, rng)
    elif shape < 0.98:
        made.segment_prefix = rng.choice((Register.DS, Register.ES, Register.SS))
        made.memory_base = base
        _displacement(made, rng)
    else:
        made.segment_prefix = Register.GS
        made.memory_displ_size = 8
        made.memory_displacement = 0x28


def _displacement(made: Instruction, rng: random.Random) -> None:
    kind = rng.random()
    if kind < 0.3:
        return
    made.memory_displ_size = 8 if kind < 0.6 else 1
    if kind < 0.75:
        value = 8 * rng.randint(-16, 15)
    elif kind < 0.9:
        value = rng.randint(-0x800, 0x800)
    elif kind < 0.97:
        value = rng.randint(-(1 << 22), 1 << 22)
    else:
        value = rng.randint(-(1 << 31), (1 << 31) - 1)
    if not -128 <= value < 128:
        made.memory_displ_size = 8
    made.memory_displacement = _signed(value)


def _signed(value: int) -> int:
    return value & ((1 << 64) - 1)


def is_control(code: int) -> bool:
    """Whether instances of the form go somewhere else, or may."""
    made = Instruction()
    made.code = code
    kinds = {_KIND[kind] for kind in OpCodeInfo(code).op_kinds()}
    return bool(
        kinds & {"BR64_1", "BR64_4"}
        or code in (Code.SYSCALL, Code.RETNQ, Code.RETNQ_IMM16)
        or code in (Code.JMP_RM64, Code.CALL_RM64)
    )
