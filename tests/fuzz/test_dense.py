# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from iced_x86 import Mnemonic

from tests.fuzz.dense import dense_subject
from tests.fuzz.subject import number
from ubypass.native.case import ABI
from ubypass.translate.flow import solve
from ubypass.translate.registers import RSP


def test_the_same_seed_makes_the_same() -> None:
    assert dense_subject(3).code == dense_subject(3).code
    assert dense_subject(3).code != dense_subject(4).code


def test_spilled_registers_are_what_is_tested() -> None:
    spilled = 0
    for seed in range(60):
        subject = dense_subject(seed)
        assignment = solve(subject.region, ABI).assignment
        first = subject.region.blocks[subject.region.entries[0].ip]
        used = {
            int(made.op0_register) for made in first.instructions if made.op_count > 0
        }
        names = {n for n in range(16) if n != RSP and assignment.spilled(n)}
        spilled += any(n in names for n in _numbers(used))
    assert spilled > 30


def _numbers(registers: set[int]) -> set[int]:
    return {n for n in map(number, registers) if n is not None}


def test_all_kinds_of_ends() -> None:
    ends = {
        block.last.mnemonic
        for seed in range(200)
        for block in dense_subject(seed).region.blocks.values()
    }
    assert {Mnemonic.SYSCALL, Mnemonic.RET, Mnemonic.CALL, Mnemonic.JMP} <= ends
    assert Mnemonic.JNE in ends
