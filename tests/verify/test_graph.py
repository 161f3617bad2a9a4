# SPDX-License-Identifier: GPL-2.0-only
"""Blocks, edges, and the order of a walk."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.verify import cases
from ubypass import abi
from ubypass.abi import Abi
from ubypass.verify import predicates
from ubypass.verify.graph import Blocks, split, survey
from ubypass.verify.insn import Kind
from ubypass.verify.load import load
from ubypass.verify.program import Program

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
    (pre, post) = next(iter(program.dispatch.values()))
    assert {blocks.number[pre], blocks.number[post]} <= set(blocks.aside)


@pytest.mark.parametrize("name", sorted(_CASES))
def test_edges_are_those_of_the_branches(name: str) -> None:
    program = _program(name)
    blocks = split(program)
    for block, start in enumerate(blocks.starts):
        inside = range(start, blocks.ends[block])
        assert blocks.branches[block] == [at for at in inside if at in program.targets]
        wanted = [blocks.number[program.targets[at]] for at in blocks.branches[block]]
        if program.insns[inside[-1]].kind not in (Kind.JMP, Kind.TRAP):
            wanted.append(block + 1)
        assert blocks.succs[block] == wanted


def test_what_a_stub_does() -> None:
    program = _program("compare_again_in_stub")
    blocks = split(program)
    stub = blocks.stubs[blocks.number[next(iter(program.fixups.values()))]]
    assert stub is not None
    assert stub.needs == predicates.defined(0) | predicates.defined(7)
    assert stub.sets & predicates.slot_defined(abi.FRAME_TARGET)


def test_only_stubs_are_summed_up() -> None:
    for name in sorted(_CASES):
        program = _program(name)
        blocks = split(program)
        for block, stub in enumerate(blocks.stubs):
            inside = range(blocks.starts[block], blocks.ends[block])
            kinds = [program.insns[at].kind for at in inside]
            assert (stub is not None) == (
                Kind.EXIT_NUMBER in kinds and kinds[-1] is Kind.JMP
            )
            if stub is not None:
                assert kinds[stub.number] is Kind.EXIT_NUMBER


@given(st.sets(st.tuples(st.integers(0, _SIZE - 1), st.integers(0, _SIZE - 1))))
def test_what_leads_to_a_block_comes_first(edges: set[tuple[int, int]]) -> None:
    places = list(range(_SIZE))
    succs = [sorted(to for at, to in edges if at == block) for block in places]
    blocks = Blocks(
        places, [place + 1 for place in places], succs, [[] for _ in places], []
    )
    place, cycles = survey(blocks, [0])
    assert sorted(place) == places
    backward = sum(place[to] <= place[at] for at, to in edges)
    assert (backward > 0) == (cycles > 0)
