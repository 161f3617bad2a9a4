# SPDX-License-Identifier: GPL-2.0-only
"""String instructions do what they do natively, faults in the middle included."""

from __future__ import annotations

import pytest

from tests.translate.pair import DATA, DATA_SIZE, both
from ubypass.abi import REP_MAX, ExitReason

_SIZES = ("b", "w", "d", "q")
_END = DATA + DATA_SIZE


@pytest.mark.parametrize("size", _SIZES)
def test_once(size: str) -> None:
    for name in ("movs", "stos", "lods", "scas", "cmps"):
        done = both(
            f"{name}{size}\npush rax\npushfq\nmov rbx, [rsi]\nmov [rdi], rbx",
            rdi=DATA + 65,
            rsi=DATA + 133,
            rax=0x1122_3344_5566_7788,
        )
        assert done.exit.reason == ExitReason.WORK


@pytest.mark.parametrize("size", _SIZES)
@pytest.mark.parametrize("name", ["rep movs", "rep stos", "rep lods"])
def test_repeated(name: str, size: str) -> None:
    for count in (0, 1, 7, 100):
        done = both(
            f"mov ecx, ebx\n{name}{size}\npush rax\nadc rdx, 0",
            flags=1,
            # Apart: the emulator sometimes does an element twice.
            rdi=DATA + 65,
            rsi=DATA + 0x600,
            rbx=count,
            rax=0x1122_3344_5566_7788,
        )
        assert done.exit.reason == ExitReason.WORK


@pytest.mark.parametrize("size", _SIZES)
@pytest.mark.parametrize("name", ["repe cmps", "repne cmps", "repe scas", "repne scas"])
def test_compares_until_something_differs(name: str, size: str) -> None:
    source = f"mov ecx, ebx\ncmp r8, r9\n{name}{size}\nsetc dl\nsetz dh"
    for count in (0, 1, 7):
        # Equal for a while, or not at all; with a count of 0 the flags stay.
        for rsi in (DATA + 64, DATA + 200):
            for r9 in (0, 1):
                both(source, rdi=DATA + 64, rsi=rsi, rbx=count, rax=0x55, r8=0, r9=r9)


@pytest.mark.parametrize(
    ("source", "registers"),
    [
        ("rep stosq", {"rdi": _END - 16}),
        ("rep movsd", {"rdi": DATA, "rsi": _END - 24}),
        ("rep movsb", {"rdi": _END - 3, "rsi": DATA}),
        ("rep lodsw", {"rsi": _END - 8}),
    ],
)
def test_a_fault_in_the_middle(source: str, registers: dict[str, int]) -> None:
    done = both(f"mov ecx, 10\n{source}", rax=7, **registers)
    assert done.exit.reason == ExitReason.FAULT
    assert 0 < done.regs["rcx"] < 10


def test_a_pointer_outside_user_space() -> None:
    for name in ("movsb", "stosq", "rep stosq", "rep movsb"):
        done = both(f"mov ecx, 5\n{name}", rdi=1 << 63, rsi=DATA)
        assert done.exit.reason == ExitReason.FAULT
        assert done.regs["rdi"] == 1 << 63


def test_too_many_stay_outside() -> None:
    done = both("mov rcx, rbx\nrep stosb", rdi=DATA, rbx=REP_MAX + 1)
    assert done.exit.reason == ExitReason.BUDGET
    assert done.regs["rcx"] == REP_MAX + 1


def test_direction_is_always_upwards() -> None:
    both("mov ecx, 4\ncld\nrep movsb", rdi=DATA + 1, rsi=DATA)
    done = both("mov ecx, 4\nstd\nrep movsb", rdi=DATA + 1, rsi=DATA)
    assert done.exit.reason == ExitReason.UNSUPPORTED


@pytest.mark.parametrize(
    "source", ["rep movsq [rdi], fs:[rsi]", "addr32 rep stosq", "repne movsb"]
)
def test_left_to_user_mode(source: str) -> None:
    done = both(f"mov ecx, 3\n{source}", rdi=DATA, rsi=DATA)
    assert done.exit.reason == ExitReason.UNSUPPORTED
    assert done.writes == []
