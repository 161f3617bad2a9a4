# SPDX-License-Identifier: GPL-2.0-only
"""Stores to the slot of FIP stand behind x87 instructions and leave an address."""

from __future__ import annotations

import pytest

from tests.verify import cases
from ubypass.abi import Abi
from ubypass.verify.errors import Rule, VerifyError
from ubypass.verify.fip import check_fip
from ubypass.verify.insn import Kind
from ubypass.verify.load import load
from ubypass.verify.program import Program


def _program() -> Program:
    chosen = {case.name: case for case in cases.read("pass.s")}
    return load(cases.translate(chosen["x87"]), Abi())


def _rule(program: Program) -> Rule:
    with pytest.raises(VerifyError) as caught:
        check_fip(program)
    return caught.value.rule


def test_every_store_counts() -> None:
    """One after the other becomes 0: the slot may be 0 then, or not."""
    program = _program()
    check_fip(program)
    refused = 0
    for at in program.kinds[Kind.FIP]:
        kept = program.values[at]
        program.values[at] = 0
        alone = Kind.FIP not in (program.insns[at - 1].kind, program.insns[at + 1].kind)
        if alone or (program.insns[at].a and not program.values[at - 1]):
            assert _rule(program) is Rule.LEAK
            refused += 1
        else:
            check_fip(program)
        program.values[at] = kept
    assert refused >= 3


def test_branches_and_entries_behind_an_x87_instruction() -> None:
    program = _program()
    store = program.kinds[Kind.FIP][0]
    program.entries.append(store)
    assert _rule(program) is Rule.LEAK
    program = _program()
    program.targets[0] = store
    assert _rule(program) is Rule.LEAK


@pytest.mark.parametrize("high", [1 << 15, -1, -(1 << 31)])
def test_addresses_of_the_kernel(high: int) -> None:
    program = _program()
    upper = [at for at in program.kinds[Kind.FIP] if program.insns[at].a]
    program.values[upper[0]] = high
    assert _rule(program) is Rule.PATH
