# SPDX-License-Identifier: GPL-2.0-only
"""The order of the lowered blocks in memory.

Blocks that follow one another often are adjacent, and what runs often is dense: it
takes fewer cache lines and pages. By chains, from the heaviest edge to the lightest
(K. Pettis, R. C. Hansen: Profile Guided Code Positioning, PLDI 1990). For speed only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ubypass.translate.node import Node

__all__ = ["Link", "place"]

# A block that runs so many times less often than another one is not placed beside it,
# even if that costs a jump.
_SELDOM: Final = 8


class Link:
    """An edge along which control can fall through.

    ``guessed``: to the likely target; ``conditional``: the source ends in a conditional
    branch.
    """

    def __init__(
        self, source: Node, target: Node, guessed: bool, conditional: bool
    ) -> None:
        self.source: Final = source
        self.target: Final = target
        self.guessed: Final = guessed
        self.conditional: Final = conditional


def place(
    nodes: Sequence[Node], links: Iterable[Link], executions: Mapping[Node, int]
) -> list[Node]:
    """All of ``nodes``, hot chains first; otherwise chains keep the order of their
    first nodes.

    ``executions``: of each node, by estimate; 0: cold code.
    """
    chains = {node: [node] for node in nodes}
    for link in _heaviest_first(links, executions):
        first, second = chains[link.source], chains[link.target]
        at_ends = first[-1] is link.source and second[0] is link.target
        if at_ends and first is not second:
            first += second
            for node in second:
                chains[node] = first
    # In the order of the first of their nodes.
    begun = {id(chain): chain for chain in map(chains.__getitem__, nodes)}
    hottest_first = sorted(
        begun.values(), key=lambda chain: _heat(chain, executions), reverse=True
    )
    return [node for chain in hottest_first for node in chain]


def _heaviest_first(
    links: Iterable[Link], executions: Mapping[Node, int]
) -> list[Link]:
    """The links between nodes that run about equally often. Of equally heavy ones
    those to the likely target first, then those that otherwise cost a jump.
    """
    found: list[tuple[int, bool, bool, int, Link]] = []
    for number, link in enumerate(links):
        one, other = executions[link.source], executions[link.target]
        if max(one, other) <= _SELDOM * min(one, other):
            order = -min(one, other), not link.guessed, link.conditional, number
            found.append((*order, link))
    found.sort(key=lambda entry: entry[:-1])
    return [entry[-1] for entry in found]


def _heat(chain: Sequence[Node], executions: Mapping[Node, int]) -> int:
    """The order of magnitude of the executions of the chain's hottest node."""
    return max(executions[node] for node in chain).bit_length()
