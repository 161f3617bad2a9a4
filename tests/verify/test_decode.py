# SPDX-License-Identifier: GPL-2.0-only
"""What an instruction reads, writes and accesses, and what makes it refused."""

from __future__ import annotations

import pytest

from tests.verify.cases import assemble
from ubypass.verify import decode
from ubypass.verify.classify import text as read_text
from ubypass.verify.errors import Refusal, Rule
from ubypass.verify.insn import Access, Insn, Kind, Op
from ubypass.verify.predicates import COMPARED, defined

_REGISTER = {"rax": 0, "rcx": 1, "rdx": 2, "rbx": 3, "rsi": 6, "rdi": 7, "r8": 8}


_DECODER = decode.Decoder()


def _both(text: str) -> tuple[Insn, int]:
    code, _ = assemble(f".intel_syntax noprefix\n{text}\n")
    return _DECODER.decode(code, 0, len(code))


def _decode(text: str) -> Insn:
    return _both(text)[0]


def _mask(names: str) -> int:
    return sum(defined(_REGISTER[name]) for name in names.split())


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
    assert insn.reads == _mask(reads)
    assert dict(insn.writes) == {_REGISTER[name]: z for name, z in writes.items()}
    assert insn.sets == _mask(defines)
    kept = COMPARED & insn.keeps
    assert not any(kept >> _REGISTER[name] & 1 for name in writes)


@pytest.mark.parametrize(
    ("text", "op"),
    [
        ("cmp rax, [rsp+8]", Op.COMPARE),
        ("cmp eax, [rsp+8]", Op.NOTHING),
        ("cmp [rsp+8], rax", Op.NOTHING),
        ("cmovae rax, [rsp+8]", Op.CLAMP),
        ("cmova rax, [rsp+8]", Op.GENERIC),
        ("cmovb rax, [rsp+8]", Op.GENERIC),
        ("cmovae eax, [rsp+8]", Op.GENERIC),
        ("cmovae rax, [rsp+0x28]", Op.GENERIC),
        ("mov rax, [rsp+0x958]", Op.USER_RSP),
        ("mov eax, [rsp+0x958]", Op.GENERIC),
        ("mov rax, [rsp+0x910]", Op.RELOAD),
        ("mov rax, rcx", Op.COPY),
        ("mov eax, ecx", Op.GENERIC),
        ("lea rax, [rcx+8]", Op.SHIFT),
        ("mov [rsp+0x910], rax", Op.NOTHING),
        ("test rax, rcx", Op.NOTHING),
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


def test_numbers_beside_the_record() -> None:
    assert _both("sub rax, 8")[1] == -8
    assert _both("sub rax, -128")[1] == 128
    assert _both("dec rax")[1] == -1
    assert _both("lea rax, [rcx-0x80]")[1] == -0x80
    assert _both("lea rax, [rcx+0x12345678]")[1] == 0x12345678
    assert _both("mov rax, [rcx]")[1] == 0
    assert _both("mov byte ptr [rcx+5], 7")[1] == 5
    assert _both("movabs rax, 0x123456789abc")[1] == 0x123456789ABC
    assert _both("mov dword ptr [rsp], 7")[1] == 7
    insn, value = _both("mov eax, -1")
    assert value & insn.b == 0xFFFFFFFF
    insn, value = _both("mov rax, -1")
    assert value & insn.b == (1 << 64) - 1


@pytest.mark.parametrize(
    ("text", "access", "size"),
    [
        ("mov al, [rdi+5]", Access.USER, 1),
        ("movzx eax, word ptr [rdi]", Access.USER, 2),
        ("movups xmm0, [rdi]", Access.USER, 16),
        ("vmovdqu ymm0, [rdi]", Access.USER, 32),
        ("cmpxchg16b [rdi]", Access.USER, 16),
        ("mov rax, fs:[0]", Access.THREAD, 8),
        ("mov rax, [rsp+0x910]", Access.FRAME, 8),
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
    assert _decode("sub dword ptr [rsp+4], 9").kind is Kind.CHARGE
    assert _decode("pushfq").kind is Kind.PUSH
    assert _decode("pop [rsp+0x10]").kind is Kind.POP
    assert _decode("js .").on_sign


def test_equal_bytes_are_judged_once() -> None:
    decoder = decode.Decoder()
    code = bytes.fromhex("4889c8") * 2
    assert decoder.decode(code, 0, 6)[0] is decoder.decode(code, 3, 6)[0]
    with pytest.raises(Refusal):
        decoder.decode(code, 3, 5)


def test_branches_share_a_record_but_not_their_end() -> None:
    decoder = decode.Decoder()
    code = bytes.fromhex("7402 7403 0f8400000000 0f8401000000")
    assert decoder.decode(code, 0, 16)[0] is decoder.decode(code, 2, 16)[0]
    assert decoder.decode(code, 4, 16)[0] is decoder.decode(code, 10, 16)[0]
    with pytest.raises(Refusal):
        decoder.decode(code, 10, 15)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("mov rax, [rdi+5]", "mov rax, [rdi+6]", True),
        ("mov rax, [rdi+5]", "mov rax, [rdi+0x600]", False),
        ("mov rax, [rsp+0x30]", "mov rax, [rsp+0x38]", False),
        ("mov rax, fs:[8]", "mov rax, fs:[16]", False),
        ("and rax, -16", "and rax, -17", False),
        ("add rax, 16", "add rax, 17", True),
        ("mov eax, 16", "mov eax, 17", True),
        ("shl rax, 16", "shl rax, 17", True),
        ("mov word ptr [rdi+5], 2", "mov word ptr [rdi+6], 3", True),
        ("mov dword ptr [rsp], 2", "mov dword ptr [rsp], 3", True),
        ("mov dword ptr [rsp+0x30], 2", "mov dword ptr [rsp+0x34], 2", False),
        ("vpalignr xmm0, xmm1, xmm2, 3", "vpalignr xmm0, xmm1, xmm2, 4", True),
        (
            "vblendvps xmm0, xmm1, [rdi+8], xmm3",
            "vblendvps xmm0, xmm1, [rdi+8], xmm4",
            False,
        ),
    ],
)
def test_records_are_shared_when_only_numbers_differ(
    one: str, other: str, same: bool
) -> None:
    assert (_decode(one) is _decode(other)) == same


def test_a_sweep_stops_where_something_is_refused() -> None:
    decoder = decode.Decoder()
    code = bytes.fromhex("4889c8 4883c005 f4 90")
    out: decode.Listing = ([], [], [])
    assert decoder.sweep(code, 0, len(code), out) == 7
    assert out[1] == [0, 3]
    assert out[2] == [0, 5]
    assert decoder.sweep(code, 3, 6, ([], [], [])) == 3


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "_MEMORY", 4)
    decoder = decode.Decoder()
    code = b"".join(bytes((0x48, 0x89, 0xC0 | low)) for low in (0, 1, 2, 3, 5, 6, 7))
    for _ in range(3):
        assert decoder.sweep(code, 0, len(code), ([], [], [])) == len(code)
        assert decoder._count <= 4


def test_refused_names_the_rule() -> None:
    decoder = decode.Decoder()
    assert decoder.refused(b"\xc3", 0) is Rule.BRANCH
    assert decoder.refused(b"\x50", 0) is Rule.STACK
    assert decoder.refused(b"\xf4", 0) is Rule.ENCODING
    assert read_text(b"\xf4", 0) == "hlt"
    assert read_text(b"\x06", 0) == "(bad)"
