# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from ubypass.region.graph import Block, End, predecessors, reachable


def _block(start: int, *targets: int) -> Block:
    return Block(start, (), start + 1, End.JUMP, targets)


def test_predecessors_and_reachable() -> None:
    blocks = dict(enumerate([_block(0, 1, 9), _block(1, 0), _block(2, 1)]))
    assert predecessors(blocks) == {0: (1,), 1: (0, 2), 2: ()}
    assert reachable(blocks, (0,)) == {0, 1}
    assert reachable(blocks, (2, 9)) == {0, 1, 2}


def test_open_ends() -> None:
    ends = {end for end in End if Block(0, (), 0, end, ()).open}
    assert ends == {End.RET, End.JUMP_INDIRECT, End.CALL_INDIRECT, End.STOP}
