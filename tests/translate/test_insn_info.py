# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import re

import pytest

from tests.region.asm import TEXT, decoded
from ubypass.translate.insn_info import InsnInfo, Unsupported, insn_info
from ubypass.translate.registers import NAMES


def _info(text: str) -> InsnInfo:
    code, _ = decoded(text)
    instruction = code.at(TEXT)
    assert instruction is not None
    return insn_info(instruction)


@pytest.mark.parametrize(
    ("text", "reads", "writes"),
    [
        ("mov eax, ebx", "rbx", "rax"),
        ("xor eax, eax", "", "rax"),
        ("mov al, bl", "rax rbx", "rax"),
        ("mov ah, bl", "rax rbx", "rax"),
        ("mov [rbx+rcx*4], rdx", "rbx rcx rdx", ""),
        ("mul rcx", "rax rcx", "rax rdx"),
        ("cdq", "rax", "rdx"),
        ("rdtscp", "", "rax rcx rdx"),
        ("xadd [rdi], rax", "rdi rax", "rax"),
        ("cmpxchg rbx, rcx", "rax rbx rcx", "rax rbx"),
        # With a zero source the destination stays what it was.
        ("bsf eax, ebx", "rax rbx", "rax"),
        ("cmove eax, ebx", "rax rbx", "rax"),
        ("shl edx, cl", "rcx rdx", "rdx"),
        ("sete r10b", "r10", "r10"),
        ("pmovmskb eax, xmm0", "", "rax"),
        ("xchg rax, r11", "rax r11", "rax r11"),
    ],
)
def test_registers(text: str, reads: str, writes: str) -> None:
    found = _info(text)
    assert {NAMES[user] for user in found.reads} == set(reads.split())
    assert {NAMES[user] for user in found.writes} == set(writes.split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mov eax, ebx", True),
        ("mov rax, rbx", False),
        ("mov ax, bx", False),
        # Even if the condition does not hold.
        ("cmove eax, ebx", True),
        ("tzcnt eax, ebx", True),
        ("pmovmskb eax, xmm0", True),
        ("shl eax, cl", True),
        ("xchg eax, ebx", False),
        ("bsf eax, ebx", False),
        ("cmpxchg eax, ebx", False),
        ("add eax, 1", True),
    ],
)
def test_zero_extension(text: str, expected: bool) -> None:
    assert _info(text).operands[0].zero_extends is expected


@pytest.mark.parametrize(
    "text",
    [
        "hlt",
        "mov rax, gs:[0x10]",
        "bt [rbx], rcx",
        "lock bts [rbx], ecx",
        "xlatb",
        "mov ds, eax",
        "wrpkru",
        "maskmovdqu xmm0, xmm1",
        "fnstenv [rax]",
        "fninit",
        "fldcw [rax]",
        "fld qword ptr fs:[rax]",
        "xacquire lock inc dword ptr [rbx]",
        # The bytes of endbr64, in a constant or a displacement.
        "mov eax, 0xfa1e0ff3",
        "cmp dword ptr [rbx], 0xfa1e0ff3",
        "movabs rax, 0x12fa1e0ff334",
        "lea rax, [rbx-0x5e1f00d]",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(Unsupported):
        _info(text)


def test_the_bytes_of_endbr64_are_refused_in_numbers_only() -> None:
    _info("endbr64")
    _info("mov eax, 0xfb1e0ff3")
    info = _info("mov al, [rbx+0x1e0ff300]")
    # Not all instructions of a form are refused for one of them.
    with pytest.raises(Unsupported, match="the bytes of endbr64"):
        _info("mov al, [rbx-0x5e1f00d]")
    assert _info("mov al, [rbx-0x5e1f00c]").form == info.form


def test_memory() -> None:
    memory = _info("add dword ptr [rbx+rcx*8-4], 1").memory
    assert memory is not None
    assert (memory.base, memory.index, memory.scale) == (3, 1, 8)
    assert (memory.displacement, memory.size, memory.access) == (-4, 4, True)


def test_constant_and_thread_addresses() -> None:
    memory = _info("mov rax, [rip+0x10]").memory
    assert memory is not None
    assert (memory.base, memory.displacement, memory.fs) == (None, TEXT + 0x17, False)
    memory = _info("mov rax, fs:[0xfffffffffffffff8]").memory
    assert memory is not None
    assert (memory.base, memory.displacement, memory.fs) == (None, -8, True)


def test_addresses_of_32_bits() -> None:
    memory = _info("mov rax, [ebx+ecx*4-8]").memory
    assert memory is not None
    assert (memory.base, memory.index, memory.displacement) == (3, 1, -8)
    assert memory.narrow
    # Extended with zeroes, not with the sign; then it is a constant like others.
    memory = _info("addr32 mov ecx, ds:0xfffffff8").memory
    assert memory is not None
    assert (memory.base, memory.displacement) == (None, 0xFFFFFFF8)
    memory = _info("mov rax, [eip+8]").memory
    assert memory is not None
    assert memory.displacement == (TEXT + 0x10) & 0xFFFFFFFF
    memory = _info("lea rax, [ebx]").memory
    assert memory is not None
    assert memory.narrow


@pytest.mark.parametrize(
    "text",
    [
        "vpmaskmovq ymm1, ymm11, fs:[r15d*8+0x1dd]",
        "vmaskmovps [eax], xmm1, xmm2",
        "vmovdqu64 zmm1{k1}, [eax]",
        "vmovdqu32 [ebx+ecx*4]{k2}, ymm1",
    ],
)
def test_elements_of_masked_accesses_wrap_at_32_bits(text: str) -> None:
    with pytest.raises(Unsupported, match="masked access with an address of 32 bits"):
        _info(text)
    # With the same address of 64 bits it is translated.
    wide = re.sub(r"\be(\w+)|r15d", lambda m: f"r{m[1] or 15}", text)
    assert _info(wide).memory is not None


def test_no_access() -> None:
    for text in ("lea rax, [rbx+8]", "nop dword ptr [rax]", "prefetcht0 [rax]"):
        memory = _info(text).memory
        assert memory is not None
        assert not memory.access, text


def test_what_may_fault_without_memory() -> None:
    assert _info("div ecx").faults
    assert _info("addsd xmm0, xmm1").faults
    assert not _info("pxor xmm0, xmm1").faults
