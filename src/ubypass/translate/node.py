# SPDX-License-Identifier: GPL-2.0-only
"""Nodes of the fixpoint: versions of a block."""

from __future__ import annotations

from typing import Final

__all__ = ["Node"]


class Node:
    """A block as entered in one kind of state; one object for each in a region.

    The values that a system call leaves in rcx and r11 cost nothing while they are the
    only ones possible there. So that a rare path into a block does not end that for the
    others, the block may be lowered more than once: ``cx`` is the value of a rcx in
    state ``S`` or 0, ``derived`` tells whether r11 is. A loop is unrolled, its copies
    are numbered by ``turn``, and turn 0 charges the budget.

    ``rank`` is the block's place in the order of control, ``place`` the node's: one
    number that is less for what comes first. ``waiting``: the node is in the work list.
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
        self.waiting = False

    def before(self, other: Node) -> bool:
        """Whether this one comes first where nodes are sorted."""
        if self.start != other.start:
            return self.start < other.start
        if self.cx != other.cx:
            return self.cx < other.cx
        if self.derived != other.derived:
            return other.derived
        return self.turn < other.turn
