# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from dataclasses import replace

from iced_x86 import Decoder

from tests.translate.graphs import drawn
from ubypass.region.graph import Block, End, Region
from ubypass.translate.clone import CLONE_STRIDE
from ubypass.translate.profile import (
    distances,
    executions,
    hot_path,
    likely,
    order,
)


def test_a_loop_ends_in_its_branch() -> None:
    following = {0: 1, 1: 2, 2: 0, 3: None}
    assert order([0, 1, 2, 3], following.get, lambda n: n == 1) == [2, 0, 1, 3]
    assert order([0, 1, 2, 3], following.get, lambda n: False) == [0, 1, 2, 3]
    # Only the loop turns, not what leads to it.
    following = {9: 0, 0: 1, 1: 2, 2: 0}
    assert order([9, 0], following.get, lambda n: n == 0) == [9, 1, 2, 0]


def test_likely() -> None:
    ahead = Block(10, (), 12, End.BRANCH, (20, 12))
    alone = Region({}, (), (), {})
    assert likely(alone, ahead, {20: 1, 12: 1}) == 12
    assert likely(alone, ahead, {20: 1}) == 20
    assert likely(alone, Block(1, (), 2, End.RET, ()), {}) is None
    jump = Decoder(64, b"\x74\x08", ip=10).decode()
    known = Region({}, (), (), {}, traced=frozenset({10, 12, 20}))
    ahead = replace(ahead, instructions=(jump,))
    assert likely(known, ahead, {20: 1}) == 20
    assert likely(replace(known, never_taken=frozenset({10})), ahead, {20: 1}) == 12
    assert likely(alone, Block(1, (), 2, End.RET, (7, 8)), {}) == 7


def test_only_a_loop_jumps_back() -> None:
    back = Block(10, (), 12, End.BRANCH, (4, 12))
    loop = {4: Block(4, (), 10, End.SYSCALL, (10,)), 10: back}
    both = {4: 1, 12: 1}
    assert likely(Region(loop, (), (), {}), back, both) == 4
    cold = {4: Block(4, (), 6, End.RET, (10,)), 10: back}
    assert likely(Region(cold, (), (), {}), back, both) == 12


def test_distances_stop_at_dispatches() -> None:
    region = drawn(
        {
            0: (End.JUMP, (1,)),
            1: (End.SYSCALL, (2,)),
            2: (End.JUMP, (3,)),
            3: (End.JUMP, (3,)),
        }
    )
    assert set(distances(region, {1})) == {0, 1}


def test_hot_path() -> None:
    region = drawn({0: (End.JUMP, (1,)), 1: (End.JUMP, (0,)), 2: (End.JUMP, (0,))})
    assert hot_path(region, {0: 1, 1: 0, 2: 0}) == {0, 1}


def test_a_clone_has_the_executions_of_its_call() -> None:
    clone = 2 * CLONE_STRIDE
    cold = CLONE_STRIDE
    region = drawn(
        {
            # Two calls of a function at 20; the first one has a clone of it.
            0: (End.CALL, (clone + 20,)),
            1: (End.CALL, (20,)),
            2: (End.SYSCALL, (0, cold + 3)),
            20: (End.RET, (2,)),
            clone + 20: (End.RET, (1,)),
            cold + 3: (End.RET, ()),
        }
    )
    counted = replace(
        region,
        traced=frozenset(region.blocks) - {cold + 3},
        execution_counts={0: 30, 1: 10, 2: 10, 20: 40},
    )
    assert executions(counted) == {0: 30, 1: 10, 2: 10, 20: 40, clone + 20: 30}
    assert executions(region) == {}
    # What was traced ran at least once.
    assert executions(replace(counted, execution_counts={0: 1}))[clone + 20] == 1
