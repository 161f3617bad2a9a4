# SPDX-License-Identifier: GPL-2.0-only
"""Blocks and edges, and that the fixpoint is checked, not trusted."""

from __future__ import annotations

import pytest

from tests.verify import cases
from ubypass.abi import Abi
from ubypass.verify.errors import Rule, VerifyError
from ubypass.verify.flow import Flow, split
from ubypass.verify.program import Program, load
from ubypass.verify.state import State

_CASES = {case.name: case for case in cases.read("pass.s")}


def _program(name: str) -> Program:
    return load(cases.translate(_CASES[name]), Abi())


@pytest.mark.parametrize("name", sorted(_CASES))
def test_blocks_partition_the_code(name: str) -> None:
    program = _program(name)
    blocks = split(program)
    assert blocks.starts[0] == 0
    assert blocks.starts[1:] == blocks.ends[:-1]
    assert blocks.ends[-1] == len(program.insns)
    inside = {
        at
        for start, end in zip(blocks.starts, blocks.ends, strict=True)
        for at in range(start + 1, end)
    }
    assert not inside & {*program.entries, *program.targets.values()}
    assert not inside & set(program.fixups.values())


def test_edges_of_a_dispatch() -> None:
    program = _program("loop_with_dispatch")
    blocks = split(program)
    (at, (pre, post)) = next(iter(program.dispatch.items()))
    block = next(n for n, end in enumerate(blocks.ends) if end == at + 1)
    assert {blocks.number[pre], blocks.number[post]} <= set(blocks.side[block])
    assert blocks.succs[block] == [block + 1]


def test_a_wrong_join_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A join that forgets what the second path brings must not go unseen."""
    program = _program("join_of_intervals")
    monkeypatch.setattr(State, "join", lambda *_: False)
    with pytest.raises(VerifyError) as caught:
        Flow(program, split(program), set()).run()
    assert caught.value.rule is Rule.PATH
    assert caught.value.reason == "no fixpoint"


def test_unreachable_blocks_are_not_counted_as_reached() -> None:
    program = _program("unreachable_stub")
    blocks = split(program)
    assert Flow(program, blocks, set()).run() < len(blocks.starts)
