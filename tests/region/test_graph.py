# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from ubypass.region.graph import Block, End, loop_heads, predecessors, reachable


def _block(start: int, *targets: int) -> Block:
    return Block(start, (), start + 1, End.JUMP, targets)


def test_predecessors_and_reachable() -> None:
    blocks = dict(enumerate([_block(0, 1, 9), _block(1, 0), _block(2, 1)]))
    assert predecessors(blocks) == {0: (1,), 1: (0, 2), 2: ()}
    assert reachable(blocks, (0,)) == {0, 1}
    assert reachable(blocks, (2, 9)) == {0, 1, 2}


def test_loop_heads() -> None:
    ahead = {1: [2], 2: [3, 2], 3: [1, 4], 4: [5], 5: [4, 6], 6: []}
    assert sorted(loop_heads([1], ahead)) == [1, 2, 4]
    # From elsewhere the same loop is closed elsewhere.
    assert sorted(loop_heads([3], ahead)) == [2, 3, 4]
    assert loop_heads([6, 9], ahead) == []


def test_open_ends() -> None:
    ends = {end for end in End if Block(0, (), 0, end, ()).open}
    assert ends == {End.RET, End.JUMP_INDIRECT, End.CALL_INDIRECT, End.STOP}
