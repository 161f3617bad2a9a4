# SPDX-License-Identifier: GPL-2.0-only
"""The fixpoint is checked, not trusted."""

from __future__ import annotations

import pytest

from tests.source_only import is_source, rerun
from tests.verify import cases
from ubypass.abi import Abi
from ubypass.verify import flow
from ubypass.verify.errors import Rule, VerifyError
from ubypass.verify.flow import Flow
from ubypass.verify.graph import split, survey
from ubypass.verify.load import load
from ubypass.verify.program import Program
from ubypass.verify.state import State

_CASES = {case.name: case for case in cases.read("pass.s")}


def _program(name: str) -> Program:
    return load(cases.translate(_CASES[name]), Abi())


def _flow(program: Program) -> Flow:
    blocks = split(program)
    place, _ = survey(blocks, [blocks.number[at] for at in program.entries])
    return Flow(program, blocks, place, set())


def test_a_wrong_join_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A join that forgets what the second path brings must not go unseen."""
    if not is_source(flow):
        rerun(f"{__file__}::test_a_wrong_join_would_be_noticed")
        return
    program = _program("join_of_intervals")
    monkeypatch.setattr(State, "join", lambda *_: False)
    with pytest.raises(VerifyError) as caught:
        _flow(program).run()
    assert caught.value.rule is Rule.PATH
    assert caught.value.reason == "no fixpoint"


def test_unreachable_blocks_are_not_counted_as_reached() -> None:
    program = _program("unreachable_stub")
    assert len(_flow(program).run()) < len(split(program).starts)


@pytest.mark.parametrize("name", ["clamp_and_read", "shared_tail"])
def test_stubs_are_reached_without_a_walk(name: str) -> None:
    program = _program(name)
    blocks = split(program)
    reached = set(_flow(program).run())
    assert {blocks.number[at] for at in program.fixups.values()} <= reached
