# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from tests.translate.graphs import drawn
from ubypass.region.graph import End
from ubypass.translate.loops import closes_loop, loop_body, looping, ranks


def test_which_blocks_are_in_a_loop() -> None:
    region = drawn(
        {
            0: (End.BRANCH, (1, 4)),
            1: (End.BRANCH, (2, 3)),
            2: (End.JUMP, (1,)),
            3: (End.JUMP, (3,)),
            4: (End.RET, ()),
        }
    )
    assert looping(region) == {1, 2, 3}


def test_calls_are_stepped_over() -> None:
    # The callee leads back to the caller, which does not make it a loop.
    region = drawn({0: (End.CALL, (5,)), 1: (End.RET, ()), 5: (End.RET, (1,))})
    assert looping(region) == set()
    region = drawn({0: (End.CALL, (5,)), 1: (End.JUMP, (0,)), 5: (End.RET, (1,))})
    assert looping(region) == {0, 1}


def test_a_jump_back_closes_a_loop_of_the_same_function_only() -> None:
    region = drawn({0: (End.FALL, (3,)), 3: (End.BRANCH, (0, 4)), 4: (End.RET, (0,))})
    assert closes_loop(region, 3, 0)
    assert not closes_loop(region, 0, 3)
    region = drawn({0: (End.RET, (3,)), 3: (End.BRANCH, (0, 4)), 4: (End.RET, ())})
    assert not closes_loop(region, 3, 0)


def test_the_body_of_a_loop() -> None:
    region = drawn(
        {
            0: (End.BRANCH, (1, 2)),
            1: (End.JUMP, (0,)),
            2: (End.JUMP, (3,)),
            3: (End.SYSCALL, (0,)),
        }
    )
    successors = {start: block.targets for start, block in region.blocks.items()}
    assert loop_body(region, 0, successors, 10) == {0, 1}
    # A dispatch on the only path back.
    assert loop_body(region, 2, successors, 10) == set()


def test_control_goes_from_lower_to_higher_ranks() -> None:
    region = drawn(
        {
            0: (End.BRANCH, (2, 1)),
            1: (End.JUMP, (3,)),
            2: (End.JUMP, (3,)),
            3: (End.BRANCH, (1, 4)),
            4: (End.RET, ()),
        }
    )
    rank = ranks(region, [0])
    assert sorted(rank.values()) == list(range(5))
    assert rank[0] == 0
    assert rank[4] > rank[3] > rank[2]
