# SPDX-License-Identifier: GPL-2.0-only
"""The abstract state: predicates and the values of registers at one point.

Defines the join of states and the effect of a dispatch. Must not depend on
instructions (:mod:`.transfer`) or control flow (:mod:`.flow`).
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

#: Host registers that a C function preserves (System V ABI): rbx rbp r12 to r15.
CALLEE_SAVED: Final = (3, 5, 12, 13, 14, 15)
#: All values unknown. Immutable: states share it.
NO_VALUES: Final[list[Value]] = [None] * 16
_RAX: Final = 0
_RSP: Final = 4
_R11: Final = 11
# Predicates that survive a dispatch: of slots and callee-saved registers.
_KEPT: Final = (
    predicates.USER_RSP
    | predicates.FLAGS_SAVED
    | predicates.SYSFLAGS_SAVED
    | predicates.DEFINED & ~(0xFFFF << predicates.DEFINED_SHIFT)
    | sum(predicates.defined(number) for number in (*CALLEE_SAVED, _RSP))
)


class State:
    """The abstract state at the start of a block.

    ``values`` are never changed in place: blocks and edges share them. ``changes``
    counts the changes of each register's value here; a register that changes too often
    becomes unknown (widening), so that intervals that grow in a loop converge.
    """

    __slots__ = ("changes", "known", "values")

    def __init__(self, known: int, values: list[Value]) -> None:
        self.known = known
        self.values = values
        self.changes: list[int] | None = None

    def implied_by(self, known: int, values: list[Value]) -> bool:
        """Whether the given predicates and values imply this state."""
        if self.known & ~known or (self.known ^ known) & predicates.LEAVING:
            return False
        if values is self.values or values == self.values:
            return True
        return all(map(implies, values, self.values))

    def join(self, known: int, values: list[Value]) -> bool:
        """Weakens this state until the given one implies it; whether it changed.

        LEAVING must be equal, which the caller checks.
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
    """Predicates at the exit stub of a fault, where addresses do not matter."""
    return known & predicates.DEFINED


def at_pre(known: int) -> int:
    """Predicates at ``pre_offset``: the module has used r11 as scratch."""
    return known & predicates.DEFINED & ~predicates.defined(_R11)


def after_dispatch(known: int) -> int:
    """Predicates after a handler: rax is the result, the other caller-saved
    registers hold kernel data.
    """
    return known & _KEPT | predicates.defined(_RAX)


def values_after_dispatch(values: list[Value]) -> list[Value]:
    """Values after a dispatch: only callee-saved registers keep theirs."""
    if values is NO_VALUES:
        return values
    kept: list[Value] = [None] * 16
    for number in CALLEE_SAVED:
        kept[number] = next_segment(values[number])
    return kept
