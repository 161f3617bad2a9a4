# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest
from iced_x86 import Code, Decoder, Instruction, Register

from ubypass.calibrate.assemble import Assembler, Label, at


def _listing(code: bytes) -> list[str]:
    return [f"{i.ip:x} {i}" for i in Decoder(64, code, ip=0)]


def test_labels_before_and_behind() -> None:
    made = Assembler()
    start, end = Label(), Label()
    made.bind(start)
    made.branch(Code.JNE_REL32_64, end)
    made.branch(Code.CALL_REL32_64, start)
    made.address(Register.RSI, end)
    made.bind(end)
    made.address(Register.R9, start)
    made.put(Instruction.create(Code.RETNQ))
    assert _listing(made.finish()) == [
        "0 jne near ptr 0000000000000012h",
        "6 call 0",
        "b lea rsi,[12h]",
        "12 lea r9,[0]",
        "19 ret",
    ]
    assert (made.offset(start), made.offset(end)) == (0, 0x12)


def test_alignment() -> None:
    made = Assembler()
    made.align(16)
    made.put(Instruction.create(Code.RETNQ))
    made.align(4)
    made.put(Instruction.create(Code.RETNQ))
    made.align(8, executed=True)
    assert made.finish() == b"\xc3\xcc\xcc\xcc\xc3\x90\x90\x90"


def test_operands_in_memory() -> None:
    made = Assembler()
    for place in (at(Register.RSP, 8), at(Register.R14), at(Register.R13, -64)):
        made.put(Instruction.create_reg_mem(Code.MOV_R64_RM64, Register.RAX, place))
    assert _listing(made.finish()) == [
        "0 mov rax,[rsp+8]",
        "5 mov rax,[r14]",
        "8 mov rax,[r13-40h]",
    ]


def test_a_label_that_is_nowhere() -> None:
    made = Assembler()
    made.branch(Code.JMP_REL32_64, Label())
    with pytest.raises(KeyError):
        made.finish()
