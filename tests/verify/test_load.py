# SPDX-License-Identifier: GPL-2.0-only
"""Places in the code, and metadata that names others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.verify import cases
from ubypass.abi import Abi
from ubypass.verify.errors import Rule, VerifyError
from ubypass.verify.insn import Kind
from ubypass.verify.load import load

_CASES = {case.name: case for case in cases.read("pass.s")}
_LOOP = cases.translate(_CASES["loop_with_dispatch"])
_ABI = Abi()


def _rule(**changes: object) -> Rule:
    with pytest.raises(VerifyError) as caught:
        load(replace(_LOOP, **changes), _ABI)  # type: ignore[arg-type]
    return caught.value.rule


def test_positions() -> None:
    program = load(_LOOP, _ABI)
    assert program.offsets == sorted(program.offsets)
    last = program.offsets[-1] + program.insns[-1].length
    assert last == _LOOP.constants
    kinds = [insn.kind for insn in program.insns]
    assert kinds.count(Kind.DISPATCH) == len(program.dispatch) == 1
    assert len(program.leave) == len(_LOOP.jumps)
    assert len(program.fixups) == len(_LOOP.faults) == 1


def test_jumps() -> None:
    first = _LOOP.jumps[0]
    assert _rule(jumps=(*_LOOP.jumps, first)) is Rule.BRANCH
    assert _rule(jumps=(*_LOOP.jumps, first + 1)) is Rule.BRANCH
    assert _rule(jumps=(*_LOOP.jumps, 1 << 20)) is Rule.BRANCH
    inside = _LOOP.dispatches[0].code_offset + 1
    assert _rule(jumps=(*_LOOP.jumps, inside)) is Rule.BRANCH


def test_entries() -> None:
    entry = _LOOP.entries[0]
    assert _rule(entries=(entry, entry)) is Rule.PATH
    assert _rule(entries=(replace(entry, user_ip=1 << 63),)) is Rule.PATH
    assert _rule(entries=(replace(entry, code_offset=-1),)) is Rule.PATH
    assert _rule(entries=(replace(entry, code_offset=1 << 20),)) is Rule.PATH


def test_x87_implies_vector() -> None:
    assert _rule(x87=True) is Rule.PATH
