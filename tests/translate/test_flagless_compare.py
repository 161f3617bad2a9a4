# SPDX-License-Identifier: GPL-2.0-only
"""Targets that are compared while the flags are of use go where the original goes."""

from __future__ import annotations

import pytest

from tests.translate.pair import STACK, both
from ubypass.abi import ExitReason

_FLAGS = (0, 0x1, 0x44, 0x8D5)
#: With and without something of the program's in rcx itself.
_RCX = ("mov ecx, 7", "")


@pytest.mark.parametrize("rcx", _RCX)
def test_a_return(rcx: str) -> None:
    # The store could have changed the return address, and does so in the end.
    source = f"{rcx}\ncall f\nadc rbx, rcx\njmp first\nf: mov [rsi], rdi\nret"
    for flags in _FLAGS:
        done = both(source, flags, rsi=STACK, rdi=3)
        assert done.exit.reason == ExitReason.WORK
        missed = both(source, flags, rsi=STACK - 8, rdi=3)
        assert missed.exit.reason == ExitReason.RET_MISS
        assert missed.target == 3


@pytest.mark.parametrize("rcx", _RCX)
def test_two_returns(rcx: str) -> None:
    source = f"""
    {rcx}
    call f
    adc rbx, rcx
    call f
    adc rbx, rcx
    jmp first
    f: mov [rsi], rdi
    ret
    """
    for flags in _FLAGS:
        done = both(source, flags, rsi=STACK, rdi=3)
        assert done.exit.reason == ExitReason.WORK


@pytest.mark.parametrize("rcx", _RCX)
def test_a_jump_through_a_slot(rcx: str) -> None:
    source = f"""
    {rcx}
    add rbx, rdi
    jmp [rip+slot]
    to: adc rbx, rcx
    jmp first
    .balign 8
    slot: .quad to
    """
    for first in (0, 1, 1 << 63, (1 << 64) - 1):
        done = both(source, rbx=first, rdi=(1 << 64) - 1)
        assert done.exit.reason == ExitReason.WORK
