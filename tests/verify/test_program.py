# SPDX-License-Identifier: GPL-2.0-only
"""Metadata that contradicts the code or itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.verify import cases
from ubypass.abi import Abi, Dispatch, Entry, Exit, ExitReason, Fault, Source
from ubypass.verify.errors import Rule, VerifyError
from ubypass.verify.insn import Kind
from ubypass.verify.program import load

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
    assert _rule(entries=(Entry(1 << 63, entry.code_offset),)) is Rule.PATH
    assert _rule(entries=(replace(entry, code_offset=-1),)) is Rule.PATH
    assert _rule(entries=(replace(entry, code_offset=1 << 20),)) is Rule.PATH


def test_faults() -> None:
    fault = _LOOP.faults[0]
    assert _rule(faults=()) is Rule.FAULT
    assert _rule(faults=(fault, fault)) is Rule.FAULT
    assert _rule(faults=(Fault(fault.code_offset, -1),)) is Rule.FAULT
    assert _rule(faults=(Fault(fault.code_offset, fault.code_offset),)) is Rule.FAULT
    early = Fault(0, fault.fixup_offset)
    assert _rule(faults=(early, fault)) is Rule.FAULT


def test_dispatches() -> None:
    dispatch = _LOOP.dispatches[0]
    # Without the entry the int3 bytes are padding that code runs into, and the
    # exit of reason DISPATCHED has nobody who may use it; both come later.
    assert load(replace(_LOOP, dispatches=()), _ABI).dispatch == {}
    assert _rule(dispatches=(dispatch, dispatch)) is Rule.PATH
    assert _rule(dispatches=(replace(dispatch, nr=60),)) is Rule.PATH
    assert _rule(dispatches=(replace(dispatch, nr=-1),)) is Rule.PATH
    far = Dispatch(1 << 20, 1, dispatch.pre_offset, dispatch.post_offset)
    assert _rule(dispatches=(dispatch, far)) is Rule.PATH
    refused = replace(_ABI, args={1: 0xFF})
    with pytest.raises(VerifyError):
        load(_LOOP, refused)


def test_sources_and_exits() -> None:
    assert _rule(sources=()) is Rule.PATH
    assert _rule(sources=(Source(0x1000, b""),)) is Rule.PATH
    assert _rule(sources=(Source((1 << 47) - 4097, bytes(8)),)) is Rule.PATH
    assert _rule(exits=()) is Rule.PATH
    high = Exit(1 << 47, ExitReason.FAULT)
    assert _rule(exits=(high, *_LOOP.exits[1:])) is Rule.PATH
    high = Exit(0x1000, ExitReason.FAULT, cx=1 << 47)
    assert _rule(exits=(high, *_LOOP.exits[1:])) is Rule.PATH


def test_x87_implies_vector() -> None:
    assert _rule(x87=True) is Rule.PATH
