# SPDX-License-Identifier: GPL-2.0-only
"""Regions drawn by hand: blocks without instructions, for tests of the graph alone."""

from __future__ import annotations

from ubypass.abi import SiteKey
from ubypass.region.graph import Block, End, Region, predecessors

__all__ = ["drawn"]


def drawn(blocks: dict[int, tuple[End, tuple[int, ...]]]) -> Region:
    """A region of blocks by start, each with its end and targets; entry 0."""
    made = {s: Block(s, (), s + 1, end, to) for s, (end, to) in blocks.items()}
    return Region(made, (SiteKey(0, 39),), (), predecessors(made))
