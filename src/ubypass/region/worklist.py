# SPDX-License-Identifier: GPL-2.0-only
"""Walks over graphs: a worklist for dataflow analyses, and reachability."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

__all__ = ["Worklist", "reached"]

_Node = TypeVar("_Node", bound=Hashable)


class Worklist:
    """Blocks that a dataflow analysis has to visit, each at most once at a time.

    The block that was added last comes first.
    """

    def __init__(self, starts: Iterable[int]) -> None:
        self._stack = list(starts)
        self._waiting = set(self._stack)

    def __bool__(self) -> bool:
        return bool(self._stack)

    def add(self, start: int) -> None:
        """Visit the block at ``start``, unless it waits already."""
        if start not in self._waiting:
            self._waiting.add(start)
            self._stack.append(start)

    def pop(self) -> int:
        """The block to visit next. Raises IndexError if there is none."""
        start = self._stack.pop()
        self._waiting.discard(start)
        return start


def reached(
    roots: Iterable[_Node], successors: Callable[[_Node], Iterable[_Node]]
) -> set[_Node]:
    """``roots`` and all nodes to which edges lead from them."""
    seen: set[_Node] = set()
    todo = list(roots)
    while todo:
        node = todo.pop()
        if node not in seen:
            seen.add(node)
            todo.extend(successors(node))
    return seen
