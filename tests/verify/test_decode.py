# SPDX-License-Identifier: GPL-2.0-only
"""What an instruction reads, writes and accesses, and what makes it refused."""

from __future__ import annotations

import pytest

from tests.verify.cases import assemble
from ubypass.verify import decode
from ubypass.verify.errors import Refusal, Rule
from ubypass.verify.insn import Access, Insn, Kind, Op

_REGISTER = {"rax": 0, "rcx": 1, "rdx": 2, "rbx": 3, "rsi": 6, "rdi": 7, "r8": 8}


def _decode(text: str) -> Insn:
    code, _ = assemble(f".intel_syntax noprefix\n{text}\n")
    return decode.Decoder().decode(code, 0, len(code))


@pytest.mark.parametrize(
    ("text", "reads", "writes", "defines"),
    [
        ("mov rax, rcx", "rcx", {"rax": False}, "rax"),
        ("mov eax, ecx", "rcx", {"rax": True}, "rax"),
        ("mov ax, cx", "rcx", {"rax": False}, ""),
        ("mov ah, cl", "rcx", {"rax": False}, ""),
        ("mov sil, cl", "rcx", {"rsi": False}, ""),
        ("add eax, ecx", "rax rcx", {"rax": True}, ""),
        ("xor eax, eax", "", {"rax": True}, "rax"),
        ("sub rax, rax", "", {"rax": False}, "rax"),
        ("xor al, al", "rax", {"rax": False}, ""),
        ("mul rcx", "rax rcx", {"rax": False, "rdx": False}, "rdx"),
        ("mul cl", "rax rcx", {"rax": False}, ""),
        ("div ecx", "rax rcx rdx", {"rax": False, "rdx": False}, ""),
        ("xadd rcx, rdx", "rcx rdx", {"rcx": False, "rdx": False}, ""),
        ("xchg ecx, edx", "rcx rdx", {"rcx": False, "rdx": False}, ""),
        ("cmpxchg rcx, rdx", "rax rcx rdx", {"rax": False, "rcx": False}, ""),
        ("mulx rcx, rsi, rdi", "rdi rdx", {"rcx": False, "rsi": False}, "rcx rsi"),
        ("cmove ecx, edx", "rcx rdx", {"rcx": True}, ""),
        ("sete cl", "", {"rcx": False}, ""),
        ("bsf ecx, edx", "rcx rdx", {"rcx": False}, ""),
        ("shl rdx, cl", "rcx rdx", {"rdx": False}, ""),
        ("lea rax, [rcx+rdx*2]", "rcx rdx", {"rax": False}, "rax"),
        ("cmpxchg16b [rdi]", "rax rbx rcx rdx rdi", {"rax": False, "rdx": False}, ""),
        ("movq rax, xmm0", "", {"rax": False}, "rax"),
        ("movd eax, xmm0", "", {"rax": True}, "rax"),
        ("rdtsc", "", {"rax": False, "rdx": False}, "rax rdx"),
        ("nop dword ptr [rax+rcx]", "", {}, ""),
        ("cwd", "rax", {"rax": False, "rdx": False}, ""),
        ("cqo", "rax", {"rax": False, "rdx": False}, "rdx"),
        ("lahf", "rax", {"rax": False}, ""),
    ],
)
def test_registers(
    text: str, reads: str, writes: dict[str, bool], defines: str
) -> None:
    insn = _decode(text)
    assert insn.reads == sum(1 << _REGISTER[name] for name in reads.split())
    assert dict(insn.writes) == {_REGISTER[name]: z for name, z in writes.items()}
    assert insn.defines == sum(1 << _REGISTER[name] for name in defines.split())


@pytest.mark.parametrize(
    ("text", "op"),
    [
        ("cmp rax, [rsp+8]", Op.COMPARE),
        ("cmp eax, [rsp+8]", Op.GENERIC),
        ("cmp [rsp+8], rax", Op.GENERIC),
        ("cmova rax, [rsp+8]", Op.CLAMP),
        ("cmovae rax, [rsp+8]", Op.GENERIC),
        ("cmova eax, [rsp+8]", Op.GENERIC),
        ("cmova rax, [rsp+0x28]", Op.GENERIC),
        ("mov rax, [rsp+0x898]", Op.USP),
        ("mov eax, [rsp+0x898]", Op.GENERIC),
        ("mov rax, [rsp+0x850]", Op.RELOAD),
        ("mov rax, rcx", Op.COPY),
        ("mov eax, ecx", Op.GENERIC),
        ("lea rax, [rcx+8]", Op.SHIFT),
        ("lea eax, [rcx+8]", Op.GENERIC),
        ("sub rax, 8", Op.SHIFT),
        ("and rax, -64", Op.ALIGN),
        ("and rax, -63", Op.GENERIC),
        ("mov eax, 5", Op.CONST),
        ("movabs rax, 0x123456789abc", Op.CONST),
        ("ja .", Op.ABOVE),
    ],
)
def test_knowledge(text: str, op: Op) -> None:
    assert _decode(text).op is op


def test_subtraction_shifts_down() -> None:
    assert _decode("sub rax, 8").c == -8
    assert _decode("sub rax, -128").c == 128
    assert _decode("dec rax").c == -1


@pytest.mark.parametrize(
    ("text", "access", "size"),
    [
        ("mov al, [rdi+5]", Access.USER, 1),
        ("movzx eax, word ptr [rdi]", Access.USER, 2),
        ("movups xmm0, [rdi]", Access.USER, 16),
        ("vmovdqu ymm0, [rdi]", Access.USER, 32),
        ("cmpxchg16b [rdi]", Access.USER, 16),
        ("mov rax, fs:[0]", Access.THREAD, 8),
        ("mov rax, [rsp+0x850]", Access.FRAME, 8),
        ("cmp rax, [rip+8]", Access.CONSTANT, 8),
        ("lea rax, [rdi]", Access.NONE, 0),
    ],
)
def test_access(text: str, access: Access, size: int) -> None:
    insn = _decode(text)
    assert (insn.access, insn.size) == (access, size)
    assert insn.must_fault == (access in (Access.USER, Access.THREAD))


def test_kinds() -> None:
    assert _decode("mov dword ptr [rsp], 7").kind is Kind.EXIT_NUMBER
    assert _decode("mov dword ptr [rsp], 7").number == 7
    assert _decode("sub dword ptr [rsp+4], 9").kind is Kind.CHARGE
    assert _decode("pushfq").kind is Kind.PUSH
    assert _decode("pop [rsp+0x10]").kind is Kind.POP
    assert _decode("js .").on_sign


def test_equal_bytes_are_judged_once() -> None:
    decoder = decode.Decoder()
    code = bytes.fromhex("4889c8") * 2
    assert decoder.decode(code, 0, 6) is decoder.decode(code, 3, 6)
    with pytest.raises(Refusal):
        decoder.decode(code, 3, 5)


def test_branches_share_a_record_but_not_their_end() -> None:
    decoder = decode.Decoder()
    code = bytes.fromhex("7402 7403 0f8400000000 0f8401000000")
    assert decoder.decode(code, 0, 16) is decoder.decode(code, 2, 16)
    assert decoder.decode(code, 4, 16) is decoder.decode(code, 10, 16)
    with pytest.raises(Refusal):
        decoder.decode(code, 10, 15)


def test_refused_names_the_rule() -> None:
    decoder = decode.Decoder()
    assert decoder.refused(b"\xc3", 0) is Rule.BRANCH
    assert decoder.refused(b"\x50", 0) is Rule.STACK
    assert decoder.refused(b"\xf4", 0) is Rule.ENCODING
    assert decode.text(b"\xf4", 0) == "hlt"
    assert decode.text(b"\x06", 0) == "(bad)"
