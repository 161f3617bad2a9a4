# SPDX-License-Identifier: GPL-2.0-only
"""Errors name the offset and the instruction there."""

from __future__ import annotations

from ubypass.verify.errors import Rule
from ubypass.verify.insn import Insn, Kind
from ubypass.verify.program import NOWHERE, Program


def test_errors_say_where() -> None:
    code = bytes.fromhex("4889c8 cccc")
    insns = [Insn(3), Insn(2, Kind.DISPATCH)]
    program = Program(code, insns=insns, offsets=[0, 3], values=[0, 0])
    error = program.error(0, Rule.LEAK, "because")
    assert (error.rule, error.offset, error.text) == (Rule.LEAK, 0, "mov rax, rcx")
    error = program.error(1, Rule.PATH, "because")
    assert (error.offset, error.text) == (3, "dispatch")
    assert "because" in error.message


def test_programs_share_nothing() -> None:
    one, other = Program(b""), Program(b"")
    one.kinds[Kind.JMP].append(1)
    one.targets[1] = 2
    assert not other.kinds[Kind.JMP]
    assert not other.targets
    assert len(one.kinds) == len(Kind)


def test_places_end_where_the_code_does() -> None:
    program = Program(b"\x90\x90\x90", places=[0, NOWHERE, 1])
    assert [program.place(at) for at in range(-2, 5)] == [
        *(NOWHERE, NOWHERE, 0, NOWHERE, 1, NOWHERE, NOWHERE)
    ]
