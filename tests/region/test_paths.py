# SPDX-License-Identifier: GPL-2.0-only
"""Blocks on short paths to system calls, on graphs drawn by hand."""

from __future__ import annotations

from iced_x86 import Code, Instruction

from ubypass.region.graph import Block, End
from ubypass.region.paths import (
    distances,
    jumps,
    paths_to_calls,
    short_paths,
    side_paths,
)


def _block(
    start: int, length: int, *targets: int, nr: int | None = None, end: End = End.BRANCH
) -> Block:
    nop = tuple(Instruction.create(Code.NOPD) for _ in range(length))
    if nr is not None:
        end = End.SYSCALL
    return Block(start, nop, start + length, end, targets, () if nr is None else (nr,))


def _graph(*blocks: Block) -> dict[int, Block]:
    return {block.start: block for block in blocks}


# 1 -> 2 -> 9 (a call after 10 + 5), or 1 -> 3 -> 4 -> 9 (after 10 + 20 + 20), or
# 1 -> 5, which leads nowhere.
_DIAMOND = _graph(
    _block(1, 10, 2, 3, 5),
    _block(2, 5, 9),
    _block(3, 20, 4),
    _block(4, 20, 9),
    _block(5, 3),
    _block(9, 2, 100, nr=39),
)


def test_distances_are_those_of_the_shortest_paths() -> None:
    assert distances(_DIAMOND, [1], 1000) == {1: 0, 2: 10, 3: 10, 5: 10, 9: 15, 4: 30}
    assert distances(_DIAMOND, [1], 12) == {1: 0, 2: 10, 3: 10, 5: 10}
    assert distances(_DIAMOND, [4, 77], 1000) == {4: 0, 9: 20}


def test_all_paths_to_calls() -> None:
    assert paths_to_calls(_DIAMOND, [1], []) == {1, 2, 3, 4, 9}
    assert paths_to_calls(_DIAMOND, [1], [5]) == {1, 2, 3, 4, 5, 9}


def test_short_paths_leave_out_detours() -> None:
    assert short_paths(_DIAMOND, [1], 0, 0) == {1, 2, 9}
    assert short_paths(_DIAMOND, [1], 0, 34) == {1, 2, 9}
    assert short_paths(_DIAMOND, [1], 0, 35) == {1, 2, 3, 4, 9}


def test_what_was_seen_on_a_detour_has_its_own_path() -> None:
    assert short_paths(_DIAMOND, [1, 4], 0, 0) == {1, 2, 4, 9}


def test_roots_without_a_path_are_kept_with_their_surroundings() -> None:
    blocks = {
        **_DIAMOND,
        5: _block(5, 3, 6),
        6: _block(6, 10, 7),
        7: _block(7, 10, 8),
        8: _block(8, 10),
    }
    assert short_paths(blocks, [5], 0, 50) == {5}
    assert short_paths(blocks, [5], 13, 50) == {5, 6, 7}


def test_a_branch_to_somewhere_unknown_may_lead_to_a_call() -> None:
    blocks = _graph(_block(1, 10, 2), _block(2, 5, end=End.JUMP_INDIRECT))
    assert short_paths(blocks, [1], 0, 0) == {1, 2}
    known = {**blocks, 2: _block(2, 5, 3, end=End.JUMP_INDIRECT), 3: _block(3, 1)}
    assert short_paths(known, [1], 0, 0) == {1}


def test_a_path_ends_at_its_call() -> None:
    blocks = {**_DIAMOND, 100: _block(100, 4, 101), 101: _block(101, 1, nr=1)}
    assert short_paths(blocks, [1], 0, 100) == {1, 2, 3, 4, 9}
    assert short_paths(blocks, [1, 100], 0, 0) == {1, 2, 9, 100, 101}


def test_side_paths_come_back_soon() -> None:
    # 1 -> 9 is known; 2 comes back after 5, 3 and 4 after 40, 5 never.
    assert side_paths(_DIAMOND, [1, 9], 4) == {1, 9}
    assert side_paths(_DIAMOND, [1, 9], 5) == {1, 2, 9}
    assert side_paths(_DIAMOND, [1, 9], 39) == {1, 2, 9}
    assert side_paths(_DIAMOND, [1, 9], 40) == {1, 2, 3, 4, 9}


def test_side_paths_may_end_at_a_call() -> None:
    # The call itself counts; 77 is not there.
    assert side_paths(_DIAMOND, [1, 77], 6) == {1}
    assert side_paths(_DIAMOND, [1, 77], 7) == {1, 2, 9}


def test_jumps_of_a_path() -> None:
    assert jumps([]) == []
    # Straight on, back, far ahead, over one instruction, and in place.
    path = [100, 103, 100, 4000, 4015, 4015]
    assert jumps(path) == [(103, 100), (100, 4000), (4015, 4015)]
