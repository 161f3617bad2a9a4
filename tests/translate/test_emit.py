# SPDX-License-Identifier: GPL-2.0-only
"""Every shape of instruction, read back by a decoder."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from iced_x86 import Code, Decoder, Formatter, FormatterSyntax, Instruction, Register

from ubypass.translate.emit import Buffer
from ubypass.translate.labels import Constant, Label

_formatter = Formatter(FormatterSyntax.INTEL)


def _text(buffer: Buffer) -> list[str]:
    return [_formatter.format(i) for i in Decoder(64, bytes(buffer.code), ip=0)]


@pytest.mark.parametrize(
    ("emit", "expected"),
    [
        (lambda b: b.load(0, 4, 8), "mov rax,[rsp+8]"),
        (lambda b: b.load(11, 15, 0), "mov r11,[r15]"),
        (lambda b: b.load(3, 13, 0), "mov rbx,[r13]"),
        (lambda b: b.load(3, 12, -8), "mov rbx,[r12-8]"),
        (lambda b: b.load(9, 5, 128), "mov r9,[rbp+80h]"),
        (lambda b: b.store(4, 0x898, 10), "mov [rsp+898h],r10"),
        (lambda b: b.store_imm(15, -8, -2), "mov qword ptr [r15-8],0FFFFFFFFFFFFFFFEh"),
        (lambda b: b.lea(15, 15, -8), "lea r15,[r15-8]"),
        (lambda b: b.move(3, 12), "mov rbx,r12"),
        (lambda b: b.move(12, 3), "mov r12,rbx"),
        (lambda b: b.move_imm(11, 0x7FFF_0000_0001), "mov r11,7FFF00000001h"),
        (lambda b: b.move_imm(11, 0x8000_0000), "mov r11d,80000000h"),
        (lambda b: b.move_imm(0, 5), "mov eax,5"),
        (lambda b: b.add_up(1, 11), "lea rcx,[rcx+r11]"),
        (lambda b: b.add_up(13, 5), "lea r13,[r13+rbp]"),
        (lambda b: b.add_up(14, 13), "lea r14,[r14+r13]"),
        (lambda b: b.exchange(1, 11), "xchg r11,rcx"),
        (lambda b: b.exchange(10, 3), "xchg rbx,r10"),
        (lambda b: b.frame_load32(7, 0x848), "mov edi,[rsp+848h]"),
        (lambda b: b.frame_load32(9, 0x10), "mov r9d,[rsp+10h]"),
        (lambda b: b.frame_add(11, 0x28), "add r11,[rsp+28h]"),
        (lambda b: b.cmp_limit(13), "cmp r13,[rsp+8]"),
        (lambda b: b.cmovae_limit(0), "cmovae rax,[rsp+8]"),
        (lambda b: b.charge(3), "sub dword ptr [rsp+4],3"),
        (lambda b: b.charge(300), "sub dword ptr [rsp+4],12Ch"),
        (lambda b: b.exit_number(7), "mov dword ptr [rsp],7"),
        (lambda b: b.cmp_imm32(0, 39), "cmp eax,27h"),
        (lambda b: b.cmp_constant(11, 0x401000), "cmp r11,401000h"),
        (lambda b: b.cmp_constant(3, 0x401000), "cmp rbx,401000h"),
        (lambda b: b.and_imm32(11, 0x8D5), "and r11d,8D5h"),
        (lambda b: b.or_imm32(11, 0x202), "or r11d,202h"),
    ],
)
def test_one_instruction(emit: Callable[[Buffer], None], expected: str) -> None:
    buffer = Buffer()
    emit(buffer)
    assert _text(buffer) == [expected]


def test_flags_pairs() -> None:
    buffer = Buffer()
    buffer.save_flags(0x10)
    buffer.restore_flags(0x18)
    assert _text(buffer) == [
        "pushfq",
        "pop qword ptr [rsp+10h]",
        "push qword ptr [rsp+18h]",
        "popfq",
    ]


def test_jumps_if_rcx_is_not_zero() -> None:
    buffer, label = Buffer(), Label()
    buffer.jmp_if_rcx(label)
    assert _text(buffer)[0] == "jrcxz 7"
    assert len(buffer.code) == 7
    assert buffer.fixups == [(3, label)]


def test_packed_flags() -> None:
    buffer = Buffer()
    buffer.store_flags()
    buffer.load_flags(11)
    buffer.load_flags(-1)
    load = ["mov rax,[rsp+30h]", "add al,7Fh", "sahf"]
    assert _text(buffer) == [
        *("lahf", "seto al", "mov [rsp+30h],rax"),
        *("mov r11,rax", *load, "mov rax,r11"),
        *load,
    ]


def test_fields_are_at_the_end() -> None:
    buffer, label = Buffer(), Label()
    buffer.jmp(label)
    buffer.jcc(5, label)
    buffer.cmp_constant(11, 0x7FFF_0000_0000)
    assert [at for at, _ in buffer.fixups] == [1, 7, 14]
    assert buffer.fixups[2][1] == Constant(0x7FFF_0000_0000)
    assert len(buffer.code) == 18


def test_refused_instruction_leaves_nothing_behind() -> None:
    buffer = Buffer()
    # A high byte register cannot be encoded together with r11.
    bad = Instruction.create_reg_reg(Code.MOV_RM8_R8, Register.R11L, Register.AH)
    with pytest.raises(ValueError, match="REX"):
        buffer.user(bad)
    buffer.user(Instruction.create(Code.CDQ))
    assert _text(buffer) == ["cdq"]


def test_append() -> None:
    one, two, label = Buffer(), Buffer(), Label()
    one.move(0, 1)
    two.bind(label)
    two.jmp(label)
    two.mark(0x1234)
    one.append(two)
    assert one.labels == [(3, label)]
    assert one.fixups == [(4, label)]
    assert one.marks == [8, 0x1234]
