# SPDX-License-Identifier: GPL-2.0-only
"""What the contract makes of an instruction, and the only forms it has."""

from __future__ import annotations

import pytest

from tests.verify.cases import assemble
from ubypass import abi
from ubypass.verify import predicates
from ubypass.verify.decode import Decoder
from ubypass.verify.errors import Refusal, Rule
from ubypass.verify.insn import NONE, Insn, Kind, Op

_DECODER = Decoder()


def _decode(line: str) -> tuple[Insn, int]:
    code, _ = assemble(f".intel_syntax noprefix\n{line}\n")
    return _DECODER.decode(code, 0, len(code))


@pytest.mark.parametrize(
    ("line", "kind", "value"),
    [
        ("jmp .", Kind.JMP, -2),
        ("jne .", Kind.BRANCH, -2),
        ("mov dword ptr [rsp], 7", Kind.EXIT_NUMBER, 7),
        ("sub dword ptr [rsp+4], 9", Kind.CHARGE, 9),
        ("sub dword ptr [rsp+4], 0x1234", Kind.CHARGE, 0x1234),
        ("sub dword ptr [rsp+4], ecx", Kind.CHARGE_COUNT, 0),
        ("pushfq", Kind.PUSH, 0),
        ("push [rsp+0x10]", Kind.PUSH, abi.FRAME_FLAGS),
        ("pop [rsp+0x18]", Kind.POP, abi.FRAME_SYSFLAGS),
        ("mov dword ptr [rsp+0x48], 5", Kind.FIP, 5),
        ("mov dword ptr [rsp+0x4c], 5", Kind.FIP, 5),
        ("rep movsb", Kind.STRING, 0),
        ("mov dword ptr [rsp+0x30], 5", Kind.PLAIN, 0),
    ],
)
def test_kinds(line: str, kind: Kind, value: int) -> None:
    insn, number = _decode(line)
    assert (insn.kind, number) == (kind, value)
    assert insn.noted == (kind is not Kind.PLAIN)


@pytest.mark.parametrize(
    "line",
    [
        "mov [rsp], eax",
        "mov word ptr [rsp], 5",
        "mov qword ptr [rsp], 5",
        "add dword ptr [rsp+4], 5",
        "sub dword ptr [rsp+4], eax",
        "sub dword ptr [rsp+5], 5",
        "sub word ptr [rsp+4], cx",
        "mov ecx, [rsp+4]",
        "mov dword ptr [rsp+4], 5",
        "mov dword ptr [rsp+0x4a], 5",
        "mov [rsp+0x48], eax",
        "mov rax, [rsp+0x48]",
        "cmp rax, [rsp+0x50]",
    ],
)
def test_bookkeeping_has_one_form(line: str) -> None:
    with pytest.raises(Refusal) as caught:
        _decode(line)
    assert caught.value.rule is Rule.MEMORY


@pytest.mark.parametrize("line", ["push [rsp+0x30]", "pop [rdi]", "push [rsp+8]"])
def test_only_flags_are_pushed(line: str) -> None:
    with pytest.raises(Refusal) as caught:
        _decode(line)
    assert caught.value.rule in (Rule.STACK, Rule.MEMORY)


def test_what_is_counted() -> None:
    insn, value = _decode("cmp rcx, 0x10000")
    assert (insn.op, value) == (Op.COUNT, 0x10000)
    assert _decode("cmp ecx, 0x10000")[0].op is Op.EQUATE
    assert _decode("cmp rdx, 0x10000")[0].op is Op.NOTHING
    assert _decode("sub dword ptr [rsp+4], ecx")[0].sets & predicates.RCX_PAID
    for line in ("mov cl, 1", "inc rcx", "xchg rax, rcx", "rdtscp", "rep scasb"):
        assert not _decode(line)[0].keeps & predicates.OF_RCX, line
    assert _decode("mov rdx, rcx")[0].keeps & predicates.RCX_PAID


def test_what_is_compared_with_a_number() -> None:
    for line in ("cmp eax, 39", "cmp eax, 0x1234567"):
        insn, value = _decode(line)
        assert (insn.op, insn.a, value) == (Op.EQUATE, 0, int(line.split()[-1], 0))
    for line in ("cmp rax, 39", "cmp ax, 39", "cmp al, 39", "cmp eax, ecx"):
        assert _decode(line)[0].op is not Op.EQUATE, line
    assert _decode("je . + 9")[0].equal == 1
    assert _decode("jne . + 999")[0].equal == -1
    assert [_decode(f"j{cc} . + 9")[0].equal for cc in ("b", "s", "a", "le")] == [0] * 4


def test_what_slots_get() -> None:
    stored = _decode("mov [rsp+0x30], rdx")[0]
    assert (stored.slot, stored.stores, stored.source) == (0x30, True, 2)
    for line in ("mov [rsp+0x30], edx", "mov qword ptr [rsp+0x30], 1"):
        insn = _decode(line)[0]
        assert (insn.slot, insn.stores, insn.source) == (0x30, True, NONE), line
    loaded = _decode("mov rdx, [rsp+0x30]")[0]
    assert (loaded.slot, loaded.stores) == (0x30, False)


@pytest.mark.parametrize(
    ("line", "below"),
    [
        ("movzx rdx, cl", 0),
        ("movzx rdx, word ptr [rdi+8]", 0),
        ("movsx rdx, cl", 0x80),
        ("movsx rdx, word ptr [rdi+8]", 0x8000),
        ("and rdx, 0x7fffffff", 0),
        ("and rdx, 0", 0),
        ("shr rdx, 32", 0),
        ("shr rdx, 63", 0),
    ],
)
def test_what_is_small(line: str, below: int) -> None:
    insn, value = _decode(line)
    assert (insn.op, insn.a, insn.b) == (Op.SMALL, 2, below)
    assert value == (8 if "[" in line else 0)


@pytest.mark.parametrize(
    "line",
    [
        "movsxd rdx, ecx",
        "movsx dx, cl",
        "and rdx, -2147483647",
        "and edx, 8",
        "shr rdx, 31",
        # Counts of 64 bits are taken modulo 64.
        "shr rdx, 64",
        "shr rdx, cl",
        "sar rdx, 63",
        "or rdx, 8",
    ],
)
def test_what_is_not_small(line: str) -> None:
    assert _decode(line)[0].op is not Op.SMALL


def test_the_end_of_what_is_known_of_the_slot_of_rsp() -> None:
    slot = abi.FRAME_REGS + abi.REGS_OFFSET["rsp"]
    for line in (f"mov [rsp+{slot}], rax", f"add byte ptr [rsp+{slot}+3], 1"):
        assert not _decode(line)[0].keeps & predicates.USER_RSP
    assert _decode("mov [rsp+0x910], rax")[0].keeps & predicates.USER_RSP


def test_tails() -> None:
    assert _decode("mov [rsp+0x910], rax")[0].tail
    assert _decode("mov [rsp+0x20], rax")[0].target_store
    assert _decode("jmp .")[0].tail
    for line in ("mov [rsp+0x910], eax", "mov [rsp+0x30], rax", "je .", "nop"):
        assert not _decode(line)[0].tail, line
