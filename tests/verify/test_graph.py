# SPDX-License-Identifier: GPL-2.0-only
"""Blocks, edges, and the order of a walk."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.verify import cases
from ubypass.abi import Abi
from ubypass.verify.graph import LEAVES, WALK, Blocks, split, survey
from ubypass.verify.insn import Kind
from ubypass.verify.program import Program, load

_CASES = {case.name: case for case in cases.read("pass.s")}
_SIZE = 8


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
    assert {blocks.number[pre], blocks.number[post]} <= set(blocks.stubs)
    assert blocks.succs[block] == [block + 1]


def test_what_a_plain_stub_leads_to() -> None:
    program = _program("shared_tail")
    blocks = split(program)
    insns = program.insns
    plain = 0
    for block, way in enumerate(blocks.through):
        inside = [
            insns[at].kind for at in range(blocks.starts[block], blocks.ends[block])
        ]
        assert (way != WALK) == (inside == [Kind.EXIT_NUMBER, Kind.JMP])
        if way != WALK:
            plain += 1
            assert blocks.succs[block] == ([] if way == LEAVES else [way])
    assert plain >= 1


@given(st.sets(st.tuples(st.integers(0, _SIZE - 1), st.integers(0, _SIZE - 1))))
def test_what_leads_to_a_block_comes_first(edges: set[tuple[int, int]]) -> None:
    places = list(range(_SIZE))
    succs = [sorted(to for at, to in edges if at == block) for block in places]
    blocks = Blocks(places, [place + 1 for place in places], succs, {})
    place, cycles = survey(blocks, [0])
    assert sorted(place) == places
    backward = sum(place[to] <= place[at] for at, to in edges)
    assert (backward > 0) == (cycles > 0)
