# SPDX-License-Identifier: GPL-2.0-only
"""Registers that hold no address, with which accesses make one all the same."""

from __future__ import annotations

import pytest

from tests.translate.assemble import assemble
from tests.translate.machine import NAMES
from tests.translate.pair import DATA, LOW_DATA, both
from ubypass.abi import ExitReason
from ubypass.region.discover import HotEntry, RegionSpec, discover
from ubypass.region.reader import BytesReader
from ubypass.translate.insn_info import insn_info
from ubypass.translate.nonpointers import nonpointers

_TEXT = 0x7F00_0000_1000
_MASK = (1 << 64) - 1
_BAD = 1 << 63
_FAR = f"{LOW_DATA + 0x100:#x}"

# Uses others of those that one is chosen from to hold the user's rsp.
_REST = "add rbx, rbp\nadd rbp, r13\nadd r13, r14\nadd r14, r15\nadd r15, rbx\n"

# By what is clamped: code that does not fault, the register that holds no address
# at ``at``, and values.
_CASES = {
    "the base, as the index is small": (
        "mov r8d, r8d\nat: mov rax, [rbx+r8]",
        "rbx",
        {"rbx": -0x100, "r8": LOW_DATA + 0x200},
    ),
    "the base beside a scaled index": (
        "mov r8d, r8d\nat: mov rax, [rbx+r8*8]\nadd [rbx+r8*8+8], rax",
        "rbx",
        {"rbx": -0x100, "r8": LOW_DATA // 8 + 0x40},
    ),
    "the base, as the displacement is near": (
        f"at: mov rax, [rdx+{_FAR}]\nadd [rdx+{_FAR}+8], rax",
        "rdx",
        {"rdx": -8},
    ),
    "a spilled base": (
        f"{_REST}{_REST}{_REST}at: mov rax, [r12+{_FAR}]\nadd [r12+{_FAR}+8], rax",
        "r12",
        {"r12": -8},
    ),
    "what is read in a loop": (
        "mov ecx, 4\nat: test rbx, rbx\njs 1f\nmov rax, [rbx]\n1: dec ecx\njne at",
        "rbx",
        {"rbx": -1},
    ),
    "ahead of flags": (
        f"at: cmp rcx, rdi\nmov rax, [rsi+{_FAR}]\njne first\nmov rdx, rax",
        "rsi",
        {"rsi": -8},
    ),
    "the source of a copy": (
        f"at: mov rdi, rbx\nmov rax, [rdi+{_FAR}]\nmov rdx, [rbx+{_FAR}]",
        "rbx",
        {"rbx": -8},
    ),
    "what moves on": (
        f"at: mov rax, [rdx+{_FAR}]\nadd rdx, 8\nsub [rdx+{_FAR}], rax\njs at",
        "rdx",
        {"rdx": -0x80},
    ),
}


@pytest.mark.parametrize("name", _CASES)
def test_whoever_does_not_fault_stays(name: str) -> None:
    source, register, values = _CASES[name]
    regs = {user: value & _MASK for user, value in values.items()}
    left = both(source, live=0, nonpointers={}, **regs)
    assert left.exit.reason == ExitReason.FAULT
    stays = both(source, nonpointers={"at": register}, **regs)
    assert stays.exit.reason == ExitReason.WORK


@pytest.mark.parametrize("value", [_BAD, _BAD - 8, 0, 8, -LOW_DATA, -1 << 40, 1 << 47])
@pytest.mark.parametrize("name", _CASES)
def test_whoever_faults_does_so_where_it_would(name: str, value: int) -> None:
    source, register, values = _CASES[name]
    regs = {user: value & _MASK for user, value in values.items()}
    regs[register] = value & _MASK
    both(source, live=0, nonpointers={"at": register}, **regs)


def test_a_fault_is_at_the_access() -> None:
    source, register, _ = _CASES["the source of a copy"]
    left = both(source, live=0, nonpointers={"at": register}, rbx=_BAD)
    assert left.exit.reason == ExitReason.FAULT
    # Behind the move.
    assert left.regs["rdi"] == _BAD
    assert left.writes == []


def test_true_addresses_serve_as_well() -> None:
    source = "mov r8d, r8d\nat: mov rax, [rbx+r8]\nmov rcx, [rbx+r8+8]"
    done = both(source, nonpointers={"at": "rbx"}, rbx=DATA, r8=64)
    assert done.exit.reason == ExitReason.WORK


def _known(source: str, at: dict[str, str]) -> dict[str, set[str]]:
    """By label the registers that hold no address there, if ``at`` is known."""
    code, labels = assemble(f"start: {source}\nmov eax, 39\nend: syscall", _TEXT)
    known = {
        labels[label]: sum(1 << NAMES.index(name) for name in names.split())
        for label, names in at.items()
    }
    spec = RegionSpec((HotEntry(labels["start"], 39),), nonpointers=known)
    region = discover(spec, BytesReader({_TEXT: code}))
    parts = {
        start: tuple(insn_info(i) for i in block.instructions)
        for start, block in region.blocks.items()
    }
    masks = nonpointers(region, parts)
    found = {
        instruction.ip: mask
        for start, block in region.blocks.items()
        for instruction, mask in zip(
            block.instructions, masks.get(start, (0,) * 99), strict=False
        )
    }
    return {
        label: {name for n, name in enumerate(NAMES) if found[ip] >> n & 1}
        for label, ip in labels.items()
        if ip in found
    }


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("at: nop", {"rbx"}),
        ("at: add rbx, 8\ndec rbx\nsub rbx, 16", {"rbx"}),
        ("at: mov rdi, rbx", {"rbx", "rdi"}),
        ("at: mov rdi, rbx\nmov rbx, [rsi]", {"rdi"}),
        ("at: mov edi, ebx", {"rbx"}),
        ("at: add rbx, rdi", set()),
        ("at: mov ebx, 5", set()),
        ("at: lea rbx, [rbx+rdi]", set()),
        ("at: xchg rbx, rdi", set()),
        ("at: pop rbx", set()),
        # On one of two paths.
        ("test eax, eax\nje 1f\nat: inc ecx\n1: inc edx", {"rbx"}),
        ("test eax, eax\nje 1f\nat: mov rbx, rcx\n1: inc edx", set()),
    ],
)
def test_how_long_a_register_holds_none(source: str, expected: set[str]) -> None:
    assert _known(source, {"at": "rbx"})["end"] == expected


def test_around_a_loop() -> None:
    source = "head: inc ecx\nat: dec edx\njne head"
    known = _known(source, {"at": "rbx"})
    assert known == {at: {"rbx"} for at in ("start", "head", "at", "end")}


def test_the_stack_pointer_is_one_for_ever() -> None:
    assert _known("at: nop", {"at": "rsp"})["end"] == set()


def test_nothing_is_asked_where_nothing_is_known() -> None:
    assert _known("at: nop", {})["end"] == set()
