# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from ubypass.region.worklist import Worklist, reached, reverse_postorder


def test_the_last_one_comes_first() -> None:
    todo = Worklist([1, 2, 3])
    assert [todo.pop() for _ in range(3)] == [3, 2, 1]
    assert not todo


def test_a_waiting_block_is_not_added_again() -> None:
    todo = Worklist([1, 2])
    todo.add(1)
    assert [todo.pop(), todo.pop()] == [2, 1]
    assert not todo


def test_a_visited_block_can_be_added_again() -> None:
    todo = Worklist([1])
    assert todo.pop() == 1
    todo.add(1)
    assert todo
    assert todo.pop() == 1


def test_nothing_is_left_to_pop() -> None:
    with pytest.raises(IndexError):
        Worklist([]).pop()


@pytest.mark.parametrize(
    ("roots", "found"),
    [([], set()), ([1], {1, 2, 3}), ([3], {2, 3}), ([4, 2], {2, 3, 4})],
)
def test_reached(roots: list[int], found: set[int]) -> None:
    edges = {1: [2], 2: [3], 3: [2], 4: []}
    assert reached(roots, edges.__getitem__) == found


def test_each_node_comes_before_its_successors() -> None:
    edges = {1: [2, 3], 2: [4], 3: [4], 4: [1, 5], 5: [], 6: [5]}
    order = reverse_postorder([1, 6], edges.__getitem__)
    assert order == [6, 1, 3, 2, 4, 5]
