# SPDX-License-Identifier: GPL-2.0-only
"""Rematerialized flags equal the original ones."""

from __future__ import annotations

import random
from typing import Any

import pytest
import unicorn
from unicorn import x86_const as ux

from tests.region.asm import TEXT, decoded
from ubypass.translate.insn_info import insn_info
from ubypass.translate.registers import assign_registers
from ubypass.translate.remat import COMPARES, Remat, equal, remat_of

_ASSIGNMENT = assign_registers([0] * 16)
_FLAGS = 0x8D5


def _remat_of(text: str) -> tuple[bytes, Remat | None]:
    code, _ = decoded(text)
    instruction = code.at(TEXT)
    assert instruction is not None
    data = code.bytes_at(TEXT, instruction.len)
    return data, remat_of(insn_info(instruction), _ASSIGNMENT, data)


@pytest.mark.parametrize(
    "text",
    [
        "cmp rax, rbx",
        "cmp al, 5",
        "test ebx, ebx",
        "test bx, ax",
        "sub rbx, 1",
        "sub ebx, 1",
        "sub ebx, -128",
        "sub rbx, 0x7fffffff",
        "add rbx, 24",
        "add ebx, -5",
        "add eax, 0x12345678",
        "sub eax, 0x7fffffff",
        "and ebx, 0xff",
        "or rbx, rax",
        "xor ebx, ebx",
        "sub ebx, eax",
        "sub rbx, rax",
        "add ebx, eax",
        "add rbx, rax",
        ".byte 0x01, 0xc3",  # add ebx, eax the other way round
        "neg ebx",
        "neg rbx",
        "and ebx, [rip]",
        "xor rbx, [rip-7]",
    ],
)
def test_same_flags(text: str) -> None:
    code, remat = _remat_of(text)
    assert remat is not None
    rng = random.Random(text)
    for _ in range(50):
        engine = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
        engine.mem_map(0x1000, 0x1000)
        both = code + remat.code(_ASSIGNMENT.s0)
        engine.mem_write(0x1000, both)
        special = (0, 1, 1 << 31, (1 << 64) - 1, 1 << 63)
        for register in (ux.UC_X86_REG_RAX, ux.UC_X86_REG_RBX):
            value = rng.choice((rng.getrandbits(64), rng.choice(special)))
            engine.reg_write(register, value)
        engine.emu_start(0x1000, 0x1000 + len(code))
        first = engine.reg_read(ux.UC_X86_REG_EFLAGS) & _FLAGS
        after = engine.reg_read(ux.UC_X86_REG_RBX)
        engine.reg_write(ux.UC_X86_REG_EFLAGS, 2 | rng.getrandbits(12) & _FLAGS)
        engine.emu_start(0x1000 + len(code), 0x1000 + len(both))
        assert engine.reg_read(ux.UC_X86_REG_EFLAGS) & _FLAGS == first
        assert engine.reg_read(ux.UC_X86_REG_RBX) == after


@pytest.mark.parametrize(
    "text",
    [
        "inc ebx",
        "adc ebx, 1",
        "sub bx, ax",
        "add rbx, rbx",
        "add rbx, r11",
        "sub rbx, [rip]",
        "and [rip], rbx",
        "add bx, 1",
        "cmp rax, r10",
        "cmp rax, [rbx]",
        "shl eax, 1",
        "xadd rax, rbx",
    ],
)
def test_cannot_be_rematerialized(text: str) -> None:
    assert _remat_of(text)[1] is None


def test_after_the_register_moved_on() -> None:
    remat = _remat_of("sub rbx, 8")[1]
    assert remat is not None
    moved = remat.moved(16)
    assert moved is not None
    assert moved.displacement == remat.displacement - 16
    compare = _remat_of("cmp rax, rbx")[1]
    assert compare is not None
    assert compare.moved(8) is None


_EQUAL = (
    *("cmp rax, rbx", "cmp al, bl", "cmp [rdi], ax", "sub eax, ebx", "sub [rdi], rbx"),
    *("neg ecx", "neg rcx", "cmpxchg [rdi], rdx", "test cl, cl", "and rax, rcx"),
    *("or ecx, ecx", "xor [rdi], ax"),
)


@pytest.mark.parametrize("text", _EQUAL)
def test_a_zero_tells_all_flags(text: str) -> None:
    code, _ = _remat_of(text)
    engine = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
    engine.mem_map(0x1000, 0x2000)
    remat = equal(3).code(_ASSIGNMENT.s0)
    engine.mem_write(0x1000, code + remat)
    engine.mem_write(0x2000, (0x8000_0000_8000_8080).to_bytes(8, "little"))
    for register in (ux.UC_X86_REG_RAX, ux.UC_X86_REG_RBX):
        engine.reg_write(register, 0x8000_0000_8000_8080)
    engine.reg_write(ux.UC_X86_REG_RDI, 0x2000)
    engine.reg_write(ux.UC_X86_REG_EFLAGS, 2 | _FLAGS & ~0x40)
    engine.emu_start(0x1000, 0x1000 + len(code))
    first = engine.reg_read(ux.UC_X86_REG_EFLAGS) & _FLAGS
    assert first & 0x40
    engine.reg_write(ux.UC_X86_REG_EFLAGS, 2 | _FLAGS & ~0x40)
    engine.emu_start(0x1000 + len(code), 0x1000 + len(code) + len(remat))
    assert engine.reg_read(ux.UC_X86_REG_EFLAGS) & _FLAGS == first


def test_all_compares_are_tried() -> None:
    tried = {decoded(text)[0].at(TEXT) for text in _EQUAL}
    assert {found.mnemonic for found in tried if found is not None} == COMPARES


@pytest.mark.parametrize(
    "change",
    [
        *({"registers": frozenset({1})}, {"compare": b"2"}, {"host": 2}),
        *({"displacement": 2}, {"operation": 2}, {"immediate": 2}),
        *({"undone": (2,)}, {"other": 2}),
    ],
)
def test_those_that_differ_are_not_equal(change: dict[str, Any]) -> None:
    given: dict[str, Any] = {
        **{"registers": frozenset({3}), "compare": b"1", "host": 1},
        **{"displacement": 1, "operation": 1, "immediate": 1},
        **{"undone": (1,), "other": 1},
    }
    assert Remat(**given) == Remat(**given)
    assert hash(Remat(**given)) == hash(Remat(**given))
    assert Remat(**given) != Remat(**{**given, **change})
