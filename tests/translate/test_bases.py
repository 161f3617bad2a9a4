# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from tests.region.asm import program
from ubypass.region.discover import HotEntry, RegionSpec, discover
from ubypass.translate.bases import live_bases, loop_bases, sure_copies
from ubypass.translate.insn_info import insn_info
from ubypass.translate.registers import NAMES


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mov rax, [rbx]", "rbx"),
        ("mov rax, [rbx+rcx]", "rbx rcx*"),
        ("mov rbx, rdi\nmov rax, [rbx]", "rdi"),
        ("lea rbx, [rdi+8]\nmov rax, [rbx]", "rdi"),
        ("lea rbx, [rdi+rsi]\nmov rax, [rbx]", ""),
        ("add rbx, 8\nmov rax, [rbx]", "rbx"),
        ("xor ebx, ebx\nmov rax, [rbx]", ""),
        ("lea rax, [rbx]", ""),
        ("leave", "rbp"),
        ("mov rcx, rdx\nmov rax, [rbx+rcx*8]", "rbx rdx*"),
        ("xor ecx, ecx\nmov rax, [rbx+rcx*8]", "rbx"),
        ("mov rbx, rdi\nmov rax, [rdi+rbx]\nmov rax, [rbx]", "rdi rdi*"),
        ("push [r13]", "r13"),
        ("mov rax, fs:[rbx]", ""),
    ],
)
def test_registers_that_will_be_addresses(text: str, expected: str) -> None:
    reader, at = program(f"first: mov eax, 39\nsyscall\nstart: {text}\njmp first")
    region = discover(RegionSpec((HotEntry(at["start"], 39),)), reader)
    known = {
        s: [insn_info(i) for i in b.instructions]
        for s, b in region.blocks.items()
        if s == at["start"]
    }
    found = live_bases(region, {s: known.get(s, []) for s in region.blocks})
    bases, indexes = found[at["start"]]
    names = {NAMES[user] for user in bases} | {NAMES[user] + "*" for user in indexes}
    assert names == {"rsp", *expected.split()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mov rax, [rbx]", "rbx"),
        ("mov rcx, rbx\nmov rax, [rcx+8]", "rbx"),
        ("mov rax, [rbx+rcx*8]", "rbx"),
        # Either may be an offset.
        ("mov rax, [rbx+rcx]", ""),
        ("mov rbx, rdx\nmov rax, [rbx]", "rdx"),
        ("mov rax, fs:[rbx]", ""),
        ("mov rax, [ebx]", ""),
    ],
)
def test_only_what_the_loop_uses_itself(text: str, expected: str) -> None:
    reader, at = program(
        f"first: mov eax, 39\nsyscall\nstart: {text}\ndec r8\njne start\n"
        "mov rax, [r9]\njmp first"
    )
    region = discover(RegionSpec((HotEntry(at["start"], 39),)), reader)
    head = at["start"]
    known = {head: [insn_info(i) for i in region.blocks[head].instructions]}
    found = loop_bases(region, known, head, {head})
    assert {NAMES[user] for user in found} == set(expected.split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mov rcx, rbx\nmov rax, [rcx+8]", [0]),
        ("mov rcx, rbx\nmov rax, [rdx+rcx*8]", []),
        ("mov rcx, rbx\nlea rax, [rcx+8]", []),
        ("mov rcx, rbx\nmov rcx, rdx\nmov rax, [rcx]", [1]),
        ("mov rcx, rbx\ncall other", [0]),
        ("mov rcx, rbx\njmp other", [0]),
        ("mov rcx, rbx\ntest rcx, rcx\nje other", []),
        ("mov rcx, rbx\n" + "nop\n" * 16 + "jmp other", []),
    ],
)
def test_copies_that_are_surely_addresses(text: str, expected: list[int]) -> None:
    reader, at = program(
        f"first: mov eax, 39\nsyscall\nstart: {text}\njmp first\n"
        "other: mov rax, [rcx]\njmp first"
    )
    region = discover(RegionSpec((HotEntry(at["start"], 39),)), reader)
    known = {
        s: [insn_info(i) for i in block.instructions]
        for s, block in region.blocks.items()
    }
    assert sorted(sure_copies(region, known, at["start"])) == expected
