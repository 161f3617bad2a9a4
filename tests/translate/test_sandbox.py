# SPDX-License-Identifier: GPL-2.0-only
"""Addresses that are no user addresses, clamped and only guarded."""

from __future__ import annotations

import pytest

from tests.translate.pair import DATA, DATA_SIZE, both
from ubypass.abi import TASK_SIZE_MIN, ExitReason

_LAST = DATA + DATA_SIZE
_KERNEL = 0xFFFF_8880_0000_1000
#: Addresses that are read, refused by a compare, and at the edges of both.
_ADDRESSES = (
    *(DATA, DATA - 8, _LAST - 8, _LAST, _LAST - 4, 0, 8),
    *(TASK_SIZE_MIN - 8, TASK_SIZE_MIN, TASK_SIZE_MIN + 1, 1 << 47, 1 << 62, 1 << 63),
    *(_KERNEL, (1 << 64) - 8, (1 << 64) - 1),
)
_READABLE = range(DATA, _LAST - 7)


@pytest.mark.parametrize("trusted", [False, True], ids=["clamped", "trusted"])
@pytest.mark.parametrize("address", _ADDRESSES, ids=hex)
@pytest.mark.parametrize(
    ("source", "register", "fixed"),
    [
        ("mov rax, [rbx]", "rbx", {}),
        ("mov [rbx], rdx", "rbx", {}),
        ("mov rax, [rbx+rdx]", "rbx", {}),
        ("mov rax, [rdx+rbx]", "rbx", {}),
        ("mov ecx, ecx\nmov rax, [rbx+rcx*8]", "rbx", {}),
        ("cmp rax, rdx\nmov rcx, [rbx]\nsetb al", "rbx", {}),
        ("mov rdi, rbx\nmov rax, [rdi]\nmov rcx, [rbx]", "rbx", {}),
        ("lodsq", "rsi", {}),
        ("mov ecx, 1\nrep movsb", "rsi", {"rdi": DATA + 64}),
        ("mov rbp, rdx\nleave", "rdx", {}),
        ("push [rbx]", "rbx", {}),
        ("pop rcx", "rsp", {}),
        ("jmp [rbx]", "rbx", {}),
        ("xadd [rbx], rdx", "rbx", {}),
    ],
)
def test_exits_where_the_program_would_fault(
    source: str, register: str, fixed: dict[str, int], address: int, trusted: bool
) -> None:
    done = both(source, trusted=trusted, live=0, **{register: address}, **fixed)
    if address not in _READABLE and "rep" not in source:
        assert done.exit.reason in (ExitReason.FAULT, ExitReason.STACK)


@pytest.mark.parametrize("trusted", [False, True], ids=["clamped", "trusted"])
@pytest.mark.parametrize("known", ["rbx", "rdx", "rbx rdx"])
@pytest.mark.parametrize("rbx", [DATA - 0x2000_0000, DATA, _KERNEL, 1 << 63])
def test_registers_that_hold_no_address(known: str, rbx: int, trusted: bool) -> None:
    source = "at: mov rax, [rbx+0x20000000]\nmov rcx, [rbx+rdx]"
    both(source, trusted=trusted, live=0, nonpointers={"at": known}, rbx=rbx, rdx=8)
