# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from ubypass.translate.node import Node


def test_nodes_have_an_order() -> None:
    nodes = [
        Node(start, cx, derived, turn, rank)
        for rank, start in enumerate((0x2000, 0x1000))
        for cx in (0, 0x7FFF_FFFF_F002)
        for derived in (False, True)
        for turn in (0, 63)
    ]

    def key(node: Node) -> tuple[int, int, bool, int]:
        return node.start, node.cx, node.derived, node.turn

    for one in nodes:
        for other in nodes:
            assert one.before(other) == (key(one) < key(other))
            # In the order of control first.
            wanted = (one.rank, *key(one)[1:]) < (other.rank, *key(other)[1:])
            assert (one.place < other.place) == wanted
