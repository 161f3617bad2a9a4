# SPDX-License-Identifier: GPL-2.0-only
"""Pushes and pops of every kind."""

from __future__ import annotations

import pytest

from tests.translate.pair import DATA, DATA_SIZE, STACK, both
from ubypass.abi import ExitReason


@pytest.mark.parametrize(
    "source",
    [
        "push rbx\npush r10\npop rbx\npop r10",
        "push 5\npop [rsp+8]",
        "push -1\npop [rsp]",
        "push rbx\npop [rdi+rsi*8]",
        "push rbx\npush [rsp]\npop [rdi]",
        "push r10\npop [r10]",
        "push rbx\npop [r10+rsi*2+8]",
        "push rsp\npop rsp",
        "mov rax, rsp\nlea rsp, [esp+8]\nmov rbx, rsp\nmov rsp, rax",
        "push rdi\npop rsp\npush rbx",
        "push [rdi]\npush [r10+8]\npush [rsp+8]",
        "push 0x12345678",
        "push rbp\nmov rbp, rsp\nsub rsp, 32\npush rbx\nleave",
        "pushfq",
        "cmp rbx, rdi\npushfq\npop rax\nadc rax, 0",
        "add rbx, rbx\npush rbx\npushfq\njc first\npop rdx",
        "test rbx, rbx\nmov rax, [rdi]\npushfq\nsete dl",
    ],
)
@pytest.mark.parametrize("flags", [0, 0x8D5])
def test_same(source: str, flags: int) -> None:
    done = both(
        source, flags, rbx=1 << 63, rdi=DATA + 64, r10=DATA + 128, rsi=3, rbp=STACK
    )
    assert done.exit.reason == ExitReason.WORK


@pytest.mark.parametrize(
    "source",
    ["push [rbx]", "pop [rbx]", "mov rsp, rbx\npop [rdi]", "mov rsp, rbx\npushfq"],
)
def test_a_fault_changes_nothing(source: str) -> None:
    done = both(source, rbx=DATA + DATA_SIZE + 64, rdi=DATA)
    assert done.exit.reason == ExitReason.FAULT
    assert done.writes == []


@pytest.mark.parametrize("pushed", [0, 1])
def test_a_small_stack_pointer_is_an_index_behind_a_join(pushed: int) -> None:
    source = """
        mov rbp, rsp
        mov esp, esi
        test rbx, rbx
        je other
        lea rsp, [rsp-8]
        other: mov rax, rsp
        mov rdx, [rdi]
        mov rcx, [rdi+rax]
        mov rsp, rbp
    """
    done = both(source, rbx=pushed, rdi=DATA, rsi=64)
    assert done.exit.reason == ExitReason.WORK
