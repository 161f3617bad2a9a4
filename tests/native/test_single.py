# SPDX-License-Identifier: GPL-2.0-only
"""What the processor itself says of single instructions."""

from __future__ import annotations

import signal

import pytest

from ubypass.errors import UbError
from ubypass.native.single import execute


@pytest.mark.parametrize(
    ("code", "raises", "vector"),
    [
        ("4889c8", 0, False),  # mov rax, rcx
        ("488b07", 0, False),  # mov rax, [rdi]
        ("f04801 07", 0, False),  # lock add [rdi], rax
        ("f04803 07", signal.SIGILL, False),  # lock add rax, [rdi]
        ("0f0b", signal.SIGILL, False),  # ud2
        ("488b8700100000", signal.SIGSEGV, False),  # mov rax, [rdi + 0x1000]
        ("f4", signal.SIGSEGV, False),  # hlt
        ("4831d2 48f7f2", signal.SIGFPE, False),  # div rdx, 0
        ("660fefc0", 0, True),  # pxor xmm0, xmm0
        ("f2480f2d07", 0, True),  # cvtsd2si rax, [rdi]: inexact
        ("f30f2d07", 0, True),  # cvtss2si eax, [rdi]
        ("0fae17", 0, True),  # ldmxcsr [rdi]
        ("0fae1f", 0, False),  # stmxcsr [rdi]
        ("d9e8", 0, True),  # fld1
        ("64488b07", signal.SIGSEGV, False),  # mov rax, fs:[rdi]
        ("64488b042500000000", 0, False),  # mov rax, fs:[0]
        ("9c", 0, False),  # pushfq
    ],
)
def test_one(code: str, raises: int, vector: bool) -> None:
    found = execute([bytes.fromhex(code)])[0]
    assert found.signal == raises
    assert found.exists == (raises != signal.SIGILL)
    assert found.vector == vector


def test_they_do_not_disturb_each_other() -> None:
    quiet, loud = bytes.fromhex("4889c8"), bytes.fromhex("660fefc0")
    found = execute([quiet, loud] * 500)
    assert [one.vector for one in found] == [False, True] * 500
    assert {one.signal for one in found} == {0}


def test_what_is_no_instruction() -> None:
    assert execute([]) == []
    with pytest.raises(UbError):
        execute([b""])
