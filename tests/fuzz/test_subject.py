# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from tests.fuzz.subject import decode, kinds
from tests.translate.assemble import assemble
from ubypass.native.case import Kind


def _kinds(source: str) -> list[tuple[Kind, int]]:
    code, _ = assemble(source, 0x40_0000)
    return kinds(decode(code, 0x40_0000))


def test_bases_point_to_memory() -> None:
    found = _kinds("mov rax, [rdi+0x100]; mov [rsi+rdx*8-8], rax")
    assert found[7] == (Kind.POINTER, 0x100)
    assert found[6] == (Kind.POINTER, (1 << 64) - 8)
    assert found[2] == (Kind.INDEX, 0)
    assert found[4] == (Kind.STACK, 0)


def test_what_is_written_first_does_not_matter() -> None:
    found = _kinds("xor ebx, ebx; mov rdi, [rbx]; mov rcx, r9; mov rax, [rcx]")
    assert found[3] == (Kind.ANY, 0)
    assert found[1] == (Kind.ANY, 0)
    assert found[9] == (Kind.POINTER, 0)


def test_counts_are_small_and_string_pointers_good() -> None:
    found = _kinds("rep movsb")
    assert found[1] == (Kind.SMALL, 0)
    assert found[6] == found[7] == (Kind.POINTER, 0)
