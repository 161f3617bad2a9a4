# SPDX-License-Identifier: GPL-2.0-only
"""The abstract state: predicates and the values of registers at one point.

Knows how paths meet, what a dispatch leaves, and nothing of instructions
(:mod:`.transfer`) or control flow (:mod:`.flow`).
"""

from __future__ import annotations

from typing import Final

from ubypass.verify import predicates
from ubypass.verify.intervals import Value, implies, next_segment, settled, union

__all__ = [
    "CALLEE_SAVED",
    "NO_VALUES",
    "State",
    "after_dispatch",
    "at_pre",
    "at_stub",
    "values_after_dispatch",
]

#: Host registers that a C function leaves alone (System V ABI): rbx rbp r12 to r15.
CALLEE_SAVED: Final = (3, 5, 12, 13, 14, 15)
#: Values where no value is known. Never changed: states share it.
NO_VALUES: Final[list[Value]] = [None] * 16
_RAX: Final = 0
_RSP: Final = 4
_R11: Final = 11
# What a dispatch leaves: slots and callee-saved registers are as they were.
_KEPT: Final = (
    predicates.USER_RSP
    | predicates.FLAGS_SAVED
    | predicates.SYSFLAGS_SAVED
    | predicates.DEFINED & ~(0xFFFF << predicates.DEFINED_SHIFT)
    | sum(predicates.defined(number) for number in (*CALLEE_SAVED, _RSP))
)


class State:
    """What is known at the start of a block.

    ``values`` belong to whoever made the state and are not changed after that:
    blocks and edges share them. ``changes`` counts how often each register's value
    changed here; one that changes too often becomes unknown, so that intervals that
    grow around a loop come to an end.
    """

    __slots__ = ("changes", "known", "values")

    def __init__(self, known: int, values: list[Value]) -> None:
        self.known = known
        self.values = values
        self.changes: list[int] | None = None

    def implied_by(self, known: int, values: list[Value]) -> bool:
        """Whether code that is safe from here is safe with that knowledge."""
        if self.known & ~known or (self.known ^ known) & predicates.LEAVING:
            return False
        if values is self.values or values == self.values:
            return True
        return all(map(implies, values, self.values))

    def join(self, known: int, values: list[Value]) -> bool:
        """Weakens this state until that knowledge implies it; whether it changed.

        LEAVING must be the same, which the caller checks.
        """
        both = self.known & known
        changed = both != self.known
        self.known = both
        if values is self.values or values == self.values:
            return changed
        if self.changes is None:
            self.changes = [0] * 16
        joined = self.values
        for number in range(16):
            mine, theirs = joined[number], values[number]
            if mine is None or mine == theirs:
                continue
            value = union(mine, theirs)
            if value != mine:
                if joined is self.values:
                    joined = joined.copy()
                self.changes[number] += 1
                joined[number] = settled(value, self.changes[number])
                changed = True
        self.values = joined
        return changed


def at_stub(known: int) -> int:
    """Predicates at an exit stub that a fault leads to: addresses do not matter
    there.
    """
    return known & predicates.DEFINED


def at_pre(known: int) -> int:
    """Predicates at ``pre_offset``: r11 was the module's scratch."""
    return known & predicates.DEFINED & ~predicates.defined(_R11)


def after_dispatch(known: int) -> int:
    """Predicates after a handler ran: rax is the result, the other caller-saved
    registers hold kernel data.
    """
    return known & _KEPT | predicates.defined(_RAX)


def values_after_dispatch(values: list[Value]) -> list[Value]:
    """Only callee-saved registers are what they were."""
    if values is NO_VALUES:
        return values
    kept: list[Value] = [None] * 16
    for number in CALLEE_SAVED:
        kept[number] = next_segment(values[number])
    return kept
