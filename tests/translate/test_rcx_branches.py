# SPDX-License-Identifier: GPL-2.0-only
"""Branches on rcx go where the originals go, and leave the flags alone."""

from __future__ import annotations

import pytest

from tests.translate.pair import both
from ubypass.abi import ExitReason

_CARRY, _ZERO = 0x1, 0x40
_WIDE = 0x1_0000_0000


@pytest.mark.parametrize(
    "branch",
    [
        *("jrcxz", "jecxz", "loop", "loope", "loopne"),
        *("addr32 loop", "addr32 loope", "addr32 loopne"),
    ],
)
def test_goes_the_same_way(branch: str) -> None:
    source = f"mov rcx, rbx\n{branch} to\nmov edx, 1\njmp first\nto: adc edx, 4"
    for flags in (0, _ZERO, _ZERO | _CARRY):
        for count in (0, 1, 2, _WIDE, _WIDE + 1):
            done = both(source, flags, rbx=count)
            assert done.exit.reason == ExitReason.WORK


def test_flags_set_just_before() -> None:
    for value in range(3):
        both("mov rcx, rbx\ndec rdx\nloopne first\nsetz al", rbx=4, rdx=value)
        both("mov rcx, rbx\ncmp rdx, 1\nloope first\nsetb al", rbx=4, rdx=value)


def test_a_loop_of_one_block() -> None:
    done = both("mov ecx, 1000\nagain: add rax, rcx\nloop again", rax=3)
    assert done.exit.reason == ExitReason.WORK
