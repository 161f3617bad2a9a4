# SPDX-License-Identifier: GPL-2.0-only
"""Nodes of the fixpoint: versions of a block."""

from __future__ import annotations

from typing import Final

__all__ = ["Node"]


class Node:
    """A version of a block for one kind of start state; unique in a region.

    The values that a system call leaves in rcx and r11 cost nothing while they are the
    only possible ones. So that a rare path into a block does not end this for the other
    paths, the block may be lowered more than once: ``cx`` is the value of rcx if it is
    in state ``S``, else 0; ``derived``: r11 is in state ``S``. A loop is unrolled, its
    copies are numbered by ``turn``, and turn 0 charges the budget.

    ``rank`` is the block's number in reverse postorder, ``place`` the node's: smaller
    numbers come first.
    """

    def __init__(
        self, start: int, cx: int, derived: bool, turn: int = 0, rank: int = 0
    ) -> None:
        self.start: Final = start
        self.cx: Final = cx
        self.derived: Final = derived
        self.turn: Final = turn
        self.rank: Final = rank
        self.place: Final = ((rank << 64 | cx) << 1 | derived) << 16 | turn

    def before(self, other: Node) -> bool:
        """Whether this node sorts before ``other``."""
        if self.start != other.start:
            return self.start < other.start
        if self.cx != other.cx:
            return self.cx < other.cx
        if self.derived != other.derived:
            return other.derived
        return self.turn < other.turn
