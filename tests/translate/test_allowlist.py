# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import itertools

import pytest
from iced_x86 import (
    Code,
    Encoder,
    EncodingKind,
    Instruction,
    OpCodeInfo,
    OpCodeOperandKind,
    OpKind,
    Register,
)

from ubypass.translate.allowlist import group, names, refused
from ubypass.verify.decode import Decoder
from ubypass.verify.errors import Refusal

_OWN_RULES = ("stack", "control", "hints", "prefetch", "string")
_KINDS = {
    value: name for name, value in vars(OpCodeOperandKind).items() if name.isupper()
}
_FILES = {
    "R8": (Register.CL, Register.R9L, Register.SIL),
    "R16": (Register.CX, Register.R9W),
    "R32": (Register.ECX, Register.R9D),
    "R64": (Register.RCX, Register.R9),
    "XMM": (Register.XMM1, Register.XMM9),
    "YMM": (Register.YMM1, Register.YMM9),
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


def test_every_name_is_one_of_iceds_and_there_once() -> None:
    assert len(names()) > 800
    assert len(set(names())) == len(names())
    assert all(hasattr(Code, name) for name in (*names(), *refused()))
    assert not set(names()) & set(refused())


def test_groups() -> None:
    assert group(Code.ADD_RM64_R64) == "arithmetic"
    assert group(Code.ADDSD_XMM_XMMM64) == "vector_fp"
    assert group(Code.HLT) is None


@pytest.mark.parametrize(
    "name",
    # What iced does not call privileged or does not describe fully.
    ["WRPKRU", "POPFQ", "VMCALL", "XBEGIN_REL32", "STD", "CPUID", "CLZEROQ"],
)
def test_traps_for_the_unwary(name: str) -> None:
    assert group(getattr(Code, name)) is None
    assert refused()[name]


def _choices(kind: str) -> list[tuple[str, int]] | None:
    if kind == "MEM":
        return [("memory", Register.RBX)]
    for prefix, file in _FILES.items():
        if kind.startswith(f"{prefix}_"):
            found = [("register", register) for register in file]
            return found + [("memory", Register.R12)] * ("OR_MEM" in kind)
    if kind in ("AL", "AX", "EAX", "RAX", "CL"):
        return [("register", getattr(Register, kind))]
    if kind in _IMMEDIATES:
        return [(kind, 1 if kind.endswith("CONST_1") else 5)]
    return None


def _samples(code: int) -> list[bytes]:
    info = OpCodeInfo(code)  # type: ignore[arg-type]
    choices = [_choices(_KINDS[info.op_kind(n)]) for n in range(info.op_count)]
    assert all(choice is not None for choice in choices)
    encoded = []
    for combination in itertools.product(*(c for c in choices if c is not None)):
        made = Instruction()
        made.code = code  # type: ignore[assignment]
        for number, (kind, value) in enumerate(combination):
            if kind == "register":
                made.set_op_kind(number, OpKind.REGISTER)
                made.set_op_register(number, value)  # type: ignore[arg-type]
            elif kind == "memory":
                made.set_op_kind(number, OpKind.MEMORY)
                made.memory_base = value  # type: ignore[assignment]
                made.memory_displacement = 16
                made.memory_displ_size = 1
            elif kind == "IMM64":
                made.set_op_kind(number, OpKind.IMMEDIATE64)
                made.set_immediate_u64(number, 0x1122_3344_5566)
            else:
                made.set_op_kind(number, _IMMEDIATES[kind])
                made.set_immediate_i32(number, value)
        encoder = Encoder(64)
        encoder.encode(made, 0)
        encoded.append(encoder.take_buffer())
    return encoded


def test_the_verifier_knows_everything_on_the_list() -> None:
    """Else one instruction that it refuses would cost the whole region."""
    decoder = Decoder()
    wrong = []
    for name in names():
        code = getattr(Code, name)
        if group(code) in _OWN_RULES:
            continue
        assert OpCodeInfo(code).encoding in (EncodingKind.LEGACY, EncodingKind.VEX)
        for sample in _samples(code):
            if name.startswith(("BT_", "BTS_", "BTR_", "BTC_")) and name[-3] == "R":
                # Refused with memory, see test_facts.
                continue
            try:
                decoder.decode(sample + bytes(16), 0, len(sample) + 16)
            except Refusal as refusal:
                wrong.append(f"{name} {sample.hex()}: {refusal}")
    assert wrong == []
