# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from tests.native.samples import TEXT, random_program, region_of
from ubypass.native.live import ARITHMETIC, live_flags

_CF, _ZF, _OF = 0x001, 0x040, 0x800


@pytest.mark.parametrize(
    ("source", "live"),
    [
        ("add rax, rbx", 0),
        ("adc rax, rbx", _CF),
        ("inc rax", _CF),
        ("inc rax; adc rbx, rbx", _CF),
        ("setle al", ARITHMETIC),
        ("mov rdx, rax; cmp rax, rbx", 0),
        ("shl rax, cl", ARITHMETIC),
        ("shl rax, 3", 0x10),
        ("repe cmpsb", ARITHMETIC),
        ("pushfq", ARITHMETIC),
        ("jz 1f; add rax, 1; 1: add rbx, 1", _ZF),
        ("jo 1f; nop; 1: cmp rbx, 1", _OF),
        ("xor eax, eax", 0),
    ],
)
def test_before_the_first_instruction(source: str, live: int) -> None:
    found = live_flags(region_of(source))[TEXT]
    if "rax, 3" in source:
        # AF is undefined after it and may be the old one.
        assert found & ~0x810 == 0
    else:
        assert found == live


def test_a_loop_keeps_what_its_head_reads() -> None:
    found = live_flags(region_of("1: adc rax, rbx; dec rcx; jnz 1b"))
    assert found[TEXT] == _CF
    assert found[TEXT + 3] & _CF


def test_nothing_the_translator_lets_die_is_live() -> None:
    # Else the runner would report what is right.
    case = random_program(5)
    assert any(mask != ARITHMETIC for mask in case.live)
    assert any(mask == ARITHMETIC for mask in case.live)
