# SPDX-License-Identifier: GPL-2.0-only
"""Cycles and paths in graphs, compared with a plain search."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ubypass.verify.budget import check_budget
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
            check_budget(program, blocks)
        assert caught.value.rule is Rule.BUDGET
        assert caught.value.offset in wrong
    else:
        check_budget(program, blocks)


def _longest(edges: set[tuple[int, int]], paying: set[int]) -> int:
    """Instructions of the longest path from a charge, or anywhere, to the next one."""

    def after(block: int) -> int:
        ahead = [ending(to) for at, to in edges if at == block]
        return 1 + max(ahead, default=0)

    def ending(block: int) -> int:
        return 0 if block in paying or block == _SIZE else after(block)

    return max(after(block) for block in range(_SIZE))


@given(_EDGES, _PAYING, st.integers(1, _SIZE))
def test_refused_exactly_when_a_path_is_long(
    edges: set[tuple[int, int]], paying: set[int], bound: int
) -> None:
    forward = {(at, to) for at, to in edges if at < to}
    program, blocks = _graph(forward, paying)
    if _longest(forward, paying) > bound:
        with pytest.raises(VerifyError, match="without a charge") as caught:
            check_budget(program, blocks, bound)
        assert caught.value.rule is Rule.BUDGET
    else:
        check_budget(program, blocks, bound)


@pytest.mark.parametrize("charges", [(0,), (0, 50), (99,)])
def test_paths_within_one_block(charges: tuple[int, ...]) -> None:
    """Between two charges of a block, and behind the last one, without a successor."""
    blocks = Blocks([0], [100], [[]], [[]], [0])
    places = list(range(100))
    program = Program(
        b"\x90" * 100,
        insns=[Insn(1) for _ in places],
        offsets=places,
        charges=set(charges),
    )
    edges = (0, *charges, 100)
    longest = max(later - one for one, later in pairwise(edges))
    check_budget(program, blocks, longest)
    with pytest.raises(VerifyError, match="without a charge"):
        check_budget(program, blocks, longest - 1)


@given(_EDGES)
def test_count_is_zero_exactly_without_cycles(edges: set[tuple[int, int]]) -> None:
    _, blocks = _graph(edges, set())
    assert (survey(blocks, [0])[1] > 0) == bool(_on_cycles(edges, set()))
