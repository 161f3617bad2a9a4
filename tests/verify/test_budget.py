# SPDX-License-Identifier: GPL-2.0-only
"""Cycles in graphs, compared with a plain search."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ubypass.verify.budget import check_cycles
from ubypass.verify.errors import Rule, VerifyError
from ubypass.verify.graph import Blocks, survey
from ubypass.verify.insn import Insn
from ubypass.verify.program import Program

_SIZE = 7
_EDGES = st.sets(st.tuples(st.integers(0, _SIZE - 1), st.integers(0, _SIZE)))
_PAYING = st.sets(st.integers(0, _SIZE - 1))


def _graph(edges: set[tuple[int, int]], paying: set[int]) -> tuple[Program, Blocks]:
    """One nop a block; block ``_SIZE`` is the end of the code."""
    places = list(range(_SIZE))
    succs = [sorted(to for at, to in edges if at == block) for block in places]
    blocks = Blocks(
        places,
        [place + 1 for place in places],
        succs,
        [[] for _ in places],
        places,
    )
    program = Program(
        b"\x90" * _SIZE,
        insns=[Insn(1) for _ in places],
        offsets=places,
        charges=set(paying),
    )
    return program, blocks


def _on_cycles(edges: set[tuple[int, int]], without: set[int]) -> set[int]:
    """Blocks from where edges between blocks that do not pay lead back."""
    reach = [0] * (_SIZE + 1)
    for at, to in edges:
        if not {at, to} & without:
            reach[at] |= 1 << to
    for middle in range(_SIZE):
        for at in range(_SIZE):
            if reach[at] >> middle & 1:
                reach[at] |= reach[middle]
    return {at for at in range(_SIZE) if reach[at] >> at & 1}


@given(_EDGES, _PAYING)
def test_refused_exactly_when_a_cycle_is_free(
    edges: set[tuple[int, int]], paying: set[int]
) -> None:
    program, blocks = _graph(edges, paying)
    wrong = _on_cycles(edges, paying)
    if wrong:
        with pytest.raises(VerifyError) as caught:
            check_cycles(program, blocks)
        assert caught.value.rule is Rule.BUDGET
        assert caught.value.offset in wrong
    else:
        check_cycles(program, blocks)


@given(_EDGES)
def test_count_is_zero_exactly_without_cycles(edges: set[tuple[int, int]]) -> None:
    _, blocks = _graph(edges, set())
    assert (survey(blocks, [0])[1] > 0) == bool(_on_cycles(edges, set()))
