# SPDX-License-Identifier: GPL-2.0-only
"""Sums that stay clamped in the scratch register, and addresses rounded down."""

from __future__ import annotations

import pytest

from tests.translate.pair import DATA, DATA_SIZE, both
from ubypass.abi import ExitReason

_LAST = DATA + DATA_SIZE
_FIRST = "mov rax, [rbx+rdx]\n"


@pytest.mark.parametrize(
    "between",
    [
        "",
        "add rdx, 8",
        "add rbx, 8",
        "mov rbx, rdi",
        "xchg rbx, rdi",
        "push rdi\npop rbx",
        "push rdi\npop rdx\nxor rdx, rdx",
        "pushfq",
        "mov rcx, [rdi]",
        "mov rcx, [rdi+rdx*2]",
        "mov rcx, rbx",
        "call next\nnext: pop rcx",
        "test rbx, rbx\nje there\nadd rbx, 16\nthere:",
    ],
)
@pytest.mark.parametrize(
    "second",
    [
        "mov rsi, [rbx+rdx]",
        "mov rsi, [rbx+rdx+8]",
        "mov rsi, [rbx+rdx-8]",
        "mov rsi, [rdx+rbx+8]",
        "mov rsi, [rbx+rdx*2]",
        "mov [rbx+rdx+16], rdi\nmov rsi, [rbx+rdx+16]",
        "mov rbx, [rbx+rdx+8]\nlea rsi, [rbx+rdx]",
    ],
)
def test_the_same_is_read(between: str, second: str) -> None:
    regs = {"rbx": DATA + 64, "rdx": 24, "rdi": DATA + 128}
    done = both(f"{_FIRST}{between}\n{second}", **regs)
    assert done.exit.reason == ExitReason.WORK


@pytest.mark.parametrize("name", ["r8", "r9", "r10", "r12"])
@pytest.mark.parametrize(
    "between", ["", "add {0}, 8", "mov {0}, rdi", "mov rcx, [rdi]"]
)
def test_of_a_spilled_register(name: str, between: str) -> None:
    # All registers are in use, so some have none.
    used = "".join(
        f"mov r{n}, rax\nmov rcx, r{n}\n" for n in range(8, 16) if f"r{n}" != name
    )
    source = f"{used}mov rax, [{name}+8]\n{between.format(name)}\nmov rsi, [{name}+16]"
    both(source, rdi=DATA + 256, **{name: DATA + 32})


@pytest.mark.parametrize("rbx", [DATA - 8, DATA, _LAST - 16, _LAST - 8, _LAST, -64, -8])
@pytest.mark.parametrize("further", [-8, 8, 64])
def test_at_the_edges(rbx: int, further: int) -> None:
    source = f"{_FIRST}mov rsi, [rbx+rdx+{further}]"
    both(source, live=0, rbx=rbx & (1 << 64) - 1, rdx=0)
    both(source, live=0, rbx=8, rdx=rbx - 8 & (1 << 64) - 1)


@pytest.mark.parametrize("step", [8, 64, 4096, 1 << 19, 1 << 22])
@pytest.mark.parametrize("further", [0, 64, -8])
@pytest.mark.parametrize("rbx", [DATA + 72, DATA + 4100, _LAST - 8, -8])
def test_rounded_down(step: int, further: int, rbx: int) -> None:
    source = f"mov rax, [rbx]\nand rbx, -{step}\nmov rsi, [rbx+{further}]"
    both(source, live=0, rbx=rbx & (1 << 64) - 1)


def test_what_is_no_rounding() -> None:
    both("mov rax, [rbx]\nand rbx, -24\nmov rsi, [rbx]", live=0, rbx=DATA + 72)
