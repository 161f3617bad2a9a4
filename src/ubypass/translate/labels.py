# SPDX-License-Identifier: GPL-2.0-only
"""Targets of references in generated code: labels, exits, edges, constants.

Plain objects; :mod:`ubypass.translate.emit` and :mod:`ubypass.translate.layout` assign
their addresses.
"""

from __future__ import annotations

from dataclasses import dataclass

from ubypass.abi import ExitReason
from ubypass.translate.node import Node

__all__ = ["Constant", "Edge", "ExitKey", "Label", "Place", "Tail"]


class Label:
    """A place in generated code; compared by identity."""

    __slots__ = ()


class Tail(Label):
    """The common tail of several exit stubs: ``stores`` are (offset from rsp, host
    register) pairs. Equal tails are one object within one register assignment.
    """

    def __init__(self, stores: tuple[tuple[int, int], ...]) -> None:
        self.stores = stores


class ExitKey(Label):
    """An exit stub: the data that it reports and the stores of its tail.

    ``target`` is the host register with the missed target, or -1. ``before`` is code to
    run first. ``stack`` is the user's rsp as (host register, offset), if rsp is not
    among the stores. ``exact``: all flags are the user's, dead ones included. Equal
    keys are one object, like tails.
    """

    def __init__(
        self,
        user_ip: int,
        reason: ExitReason,
        flags: int,
        cx: int,
        tail: Tail,
        *,
        target: int = -1,
        before: bytes = b"",
        stack: tuple[int, int] | None = None,
        exact: bool = False,
    ) -> None:
        self.user_ip = user_ip
        self.reason = reason
        self.flags = flags
        self.cx = cx
        self.tail = tail
        self.target = target
        self.before = before
        self.stack = stack
        self.offset = 0 if stack is None else stack[1]
        self.exact = exact


class Edge:
    """Control going from one block to another (or out): ``number`` of
    the fragment of the node ``source``.
    """

    def __init__(self, source: Node, number: int) -> None:
        self.source, self.number = source, number


@dataclass(frozen=True)
class Constant:
    """An 8-byte constant behind the code."""

    value: int


Place = Label | Edge | Constant
