# SPDX-License-Identifier: GPL-2.0-only
"""Kinds of memory operands, and those that nobody could prove anything of."""

from __future__ import annotations

import pytest

from tests.verify.cases import assemble
from ubypass.verify.decode import Decoder
from ubypass.verify.errors import Refusal, Rule
from ubypass.verify.insn import NONE, Access, Insn
from ubypass.verify.predicates import defined, slot_defined

_DECODER = Decoder()


def _decode(line: str) -> Insn:
    code, _ = assemble(f".intel_syntax noprefix\n{line}\n")
    return _DECODER.decode(code, 0, len(code))[0]


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("mov rax, gs:[rdi]", Rule.ENCODING),
        ("mov rax, fs:[rdi]", Rule.MEMORY),
        ("mov rax, [0x1000]", Rule.MEMORY),
        ("mov rax, [rcx*8+0x1000]", Rule.MEMORY),
        ("mov rax, [rsp+rcx]", Rule.MEMORY),
        ("add rax, [rip+8]", Rule.MEMORY),
        ("mov [rip+8], rax", Rule.MEMORY),
        ("lea rax, [rip+8]", Rule.LEAK),
        ("lea rax, [rsp+8]", Rule.STACK),
        ("mov rax, rsp", Rule.STACK),
        ("lock add [rsp+0x30], rax", Rule.MEMORY),
        ("movups xmm0, [rsp+0x910]", Rule.MEMORY),
        ("vmovd dword ptr [rsp+0x910], xmm16", Rule.MEMORY),
        ("fld qword ptr [rsp+0x910]", Rule.LEAK),
        ("mov rax, fs:[-0x300000]", Rule.POINTER),
    ],
)
def test_refused(line: str, rule: Rule) -> None:
    with pytest.raises(Refusal) as caught:
        _decode(line)
    assert caught.value.rule is rule


def test_what_an_access_needs() -> None:
    insn = _decode("mov rax, [rdi+rcx*4+8]")
    assert (insn.access, insn.base, insn.index, insn.scale) == (Access.USER, 7, 1, 4)
    assert insn.reads == defined(7) | defined(1)
    assert insn.must_fault
    insn = _decode("prefetcht0 [rdi]")
    assert insn.may_fault
    assert not insn.must_fault
    insn = _decode("mov rax, [rsp+0x30]")
    assert insn.reads == slot_defined(0x30)
    insn = _decode("mov [rsp+0x30], rax")
    assert insn.sets == slot_defined(0x30)
    assert not _decode("mov [rsp+0x30], eax").sets


def test_strings_name_their_pointers() -> None:
    insn = _decode("movsq")
    assert (insn.a, insn.b, insn.size) == (1 << 6 | 1 << 7, 0, 8)
    assert dict(insn.writes) == {6: False, 7: False}
    insn = _decode("rep stosb")
    assert (insn.a, insn.b, insn.size) == (1 << 7, 1, 1)
    assert dict(insn.writes) == {1: False, 7: False}
    insn = _decode("movsw")
    assert (insn.b, insn.size) == (0, 2)
    assert dict(_decode("lodsd").writes) == {0: True, 6: False}
    assert dict(_decode("rep lodsd").writes) == {0: False, 1: False, 6: False}
    assert insn.base == NONE
