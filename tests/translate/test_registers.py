# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest
from iced_x86 import Register

from ubypass.translate.registers import (
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
    RBX,
    RSP,
    SLOT,
    assign_registers,
    number,
    resized,
)


def test_the_least_used_gives_up_its_register() -> None:
    assignment = assign_registers([9, 9, 9, 0, 9, 2, 9, 9, 9, 9, 8, 8, 1, 1, 7, 7])
    assert assignment.host_rsp == RBX
    assert {assignment.s0, assignment.s1} == {R12, R13}
    assert assignment.moved == {RSP, RBX, R12, R13}
    assert all(assignment.spilled(user) for user in (RBX, R12, R13))
    assert sorted(h for h in assignment.host if h >= 0) == sorted(
        {0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 14, 15}
    )


def test_a_tie_keeps_what_a_dispatch_keeps() -> None:
    assignment = assign_registers([0] * 16)
    assert (assignment.host_rsp, assignment.s0, assignment.s1) == (R15, R11, R10)


def test_what_an_instruction_implies_stays() -> None:
    assert assign_registers([0] * 16, {R15, R11}).host_rsp == R14
    assert assign_registers([0] * 16, {R15, R11}).s0 == R10


def test_numbers() -> None:
    assert number(Register.AH) == 0
    assert number(Register.R9D) == 9
    assert number(Register.XMM1) is None


def test_resized() -> None:
    assert resized(Register.RAX, 11) == Register.R11
    assert resized(Register.EAX, 11) == Register.R11D
    assert resized(Register.BX, 5) == Register.BP
    assert resized(Register.R10L, 3) == Register.BL
    assert resized(Register.R10L, 5) == Register.BPL
    assert resized(Register.BL, 12) == Register.R12L
    assert resized(Register.AH, 0) == Register.AH
    with pytest.raises(ValueError, match="high byte"):
        resized(Register.BH, 11)


def test_slots() -> None:
    assert SLOT[RSP] == 0x8C0 + 152
    assert len(set(SLOT)) == 16
