# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from collections.abc import Sequence

from tests.region.asm import decoded
from ubypass.cost.gap import GapProfile, profile_gap


def _run(source: str, path: Sequence[str]) -> GapProfile:
    """Of the gap that executes the instructions at the labels of ``path``."""
    code, labels = decoded(source)
    return profile_gap([labels[name] for name in path], code)


def test_an_empty_gap() -> None:
    assert profile_gap((), decoded("nop")[0]) == GapProfile()


def test_the_call_behind_the_gap_does_not_count() -> None:
    found = _run("a: mov eax, 39\nb: syscall", "ab")
    assert found == GapProfile(instructions=1, distinct=1)


def test_a_gap_that_was_not_traced_to_its_end() -> None:
    assert _run("a: mov eax, 39\nb: nop", "ab").instructions == 2


def test_returns_behind_the_call_are_spoiled() -> None:
    source = """
        a: call c
        b: ret
        c: ret
        d: ret
    """
    found = _run(source, "acbd")
    assert (found.branches, found.spoiled) == (3, 2)


def test_accesses_that_a_translation_clamps() -> None:
    source = """
        a: mov rax, [rbx]
        b: mov [rsp+8], rax
        c: mov rax, [rip]
        d: lea rax, [rbx+4]
        e: mov rax, fs:[0x28]
        f: mov rax, fs:[rbx]
        g: mov rax, [rsp+rcx*8]
        h: push [rdx]
        i: pop rdx
        j: nop dword ptr [rax]
    """
    for name, accesses in zip(
        "abcdefghij", (1, 0, 0, 0, 0, 1, 1, 1, 0, 0), strict=True
    ):
        assert _run(source, name).accesses == accesses, name


def test_indirect_branches_are_compared() -> None:
    source = "a: jmp rax\nb: call [rip]\nc: jmp c\nd: jz d"
    found = _run(source, "abcd")
    assert found.branches == 2


def test_turns_of_a_loop() -> None:
    source = "a: dec rcx\nb: jnz a\nc: nop"
    found = _run(source, "abababc")
    assert (found.turns, found.distinct, found.instructions) == (2, 3, 7)


def test_turns_of_one_block_are_charged_together() -> None:
    source = "a: dec rcx\nb: jnz a\nc: nop"
    assert _run(source, "ab" * 161 + "c").turns == 1 + 10


def test_turns_of_several_blocks_are_charged_each() -> None:
    source = "a: dec rcx\nb: jz d\nc: jmp a\nd: nop"
    assert _run(source, "abc" * 160 + "abd").turns == 160


def test_a_call_to_lower_addresses_is_no_turn() -> None:
    assert _run("a: ret\nb: call a\nc: nop", "bac").turns == 0


def test_repeated_strings_count_once() -> None:
    found = _run("a: rep movsb\nb: nop", "aaaaab")
    assert (found.instructions, found.accesses) == (2, 2)


def test_an_instruction_that_jumps_to_itself() -> None:
    found = _run("a: loop a\nb: nop", "aaab")
    assert (found.instructions, found.turns) == (4, 2)


def test_unreadable_code() -> None:
    code, labels = decoded("a: nop")
    assert profile_gap([labels["a"], 0x10], code).unknown == 1
