# SPDX-License-Identifier: GPL-2.0-only
"""Fault entries, dispatches and exits that do not fit the code."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.verify import cases
from ubypass.abi import Abi, Fault
from ubypass.verify.errors import Rule, VerifyError
from ubypass.verify.load import load

_LOOP = cases.translate(
    next(case for case in cases.read("pass.s") if case.name == "loop_with_dispatch")
)
_ABI = Abi()


def _rule(**changes: object) -> Rule:
    with pytest.raises(VerifyError) as caught:
        load(replace(_LOOP, **changes), _ABI)  # type: ignore[arg-type]
    return caught.value.rule


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
    far = replace(dispatch, code_offset=1 << 20)
    assert _rule(dispatches=(dispatch, far)) is Rule.PATH
    astray = replace(dispatch, user_ip=dispatch.user_ip + 2)
    assert _rule(dispatches=(astray,)) is Rule.PATH
    refused = replace(_ABI, args={1: 0xFF})
    with pytest.raises(VerifyError):
        load(_LOOP, refused)


def test_charges_are_those_with_their_branch() -> None:
    chosen = {case.name: case for case in cases.read("pass.s")}
    program = load(cases.translate(chosen["repeated_strings"]), _ABI)
    assert not program.charges
    program = load(cases.translate(chosen["nested_loops"]), _ABI)
    assert len(program.charges) == 2
