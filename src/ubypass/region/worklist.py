# SPDX-License-Identifier: GPL-2.0-only
"""Walks over graphs: a worklist for dataflow analyses, reachability, and an order."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

__all__ = ["Worklist", "reached", "reverse_postorder"]

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


def reverse_postorder(
    roots: Iterable[_Node], successors: Callable[[_Node], Iterable[_Node]]
) -> list[_Node]:
    """``roots`` and all nodes to which edges lead from them, each before its
    successors, cycles aside.
    """
    finished: list[_Node] = []
    seen: set[_Node] = set()
    for root in roots:
        if root in seen:
            continue
        seen.add(root)
        stack = [(root, iter(successors(root)))]
        while stack:
            node, ahead = stack[-1]
            for following in ahead:
                if following not in seen:
                    seen.add(following)
                    stack.append((following, iter(successors(following))))
                    break
            else:
                finished.append(node)
                stack.pop()
    finished.reverse()
    return finished
