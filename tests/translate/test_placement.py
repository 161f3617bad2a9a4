# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from ubypass.translate.node import Node
from ubypass.translate.placement import Link, place


def _nodes(count: int) -> list[Node]:
    return [Node(start, 0, False) for start in range(count)]


def _order(
    nodes: list[Node], links: list[Link], executions: list[int] | None = None
) -> list[int]:
    often = executions or [1] * len(nodes)
    placed = place(nodes, links, dict(zip(nodes, often, strict=True)))
    assert sorted(placed, key=id) == sorted(nodes, key=id)
    return [node.start for node in placed]


def test_likely_successors_follow() -> None:
    nodes = _nodes(4)
    a, b, c, d = nodes
    links = [
        Link(a, d, guessed=False, conditional=True),
        Link(a, c, guessed=True, conditional=True),
        Link(c, b, guessed=True, conditional=False),
    ]
    assert _order(nodes, links) == [0, 2, 1, 3]


def test_the_heaviest_edge_comes_first() -> None:
    nodes = _nodes(3)
    a, b, c = nodes
    links = [
        Link(a, c, guessed=True, conditional=True),
        Link(b, c, guessed=True, conditional=True),
    ]
    assert _order(nodes, links, [2, 9, 10]) == [1, 2, 0]


def test_a_loop_ends_in_its_branch() -> None:
    nodes = _nodes(4)
    a, b, c, d = nodes
    links = [
        Link(a, b, guessed=True, conditional=False),
        Link(b, d, guessed=False, conditional=True),
        Link(b, c, guessed=True, conditional=True),
        Link(c, a, guessed=True, conditional=False),
    ]
    assert _order(nodes, links, [5, 5, 5, 4]) == [2, 0, 1, 3]


def test_what_runs_often_is_dense() -> None:
    nodes = _nodes(5)
    a, b, c, d, e = nodes
    links = [
        # A rare path between two hot blocks, and cold code behind a hot one.
        Link(a, b, guessed=True, conditional=True),
        Link(b, c, guessed=True, conditional=False),
        Link(a, c, guessed=False, conditional=True),
        Link(c, d, guessed=True, conditional=True),
        Link(d, e, guessed=True, conditional=False),
    ]
    assert _order(nodes, links, [100, 1, 101, 0, 0]) == [0, 2, 1, 3, 4]


def test_cold_chains_keep_their_order() -> None:
    assert _order(_nodes(5), [], [0, 3, 0, 40, 0]) == [3, 1, 0, 2, 4]
