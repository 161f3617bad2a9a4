# SPDX-License-Identifier: GPL-2.0-only
"""A decoded translation: its instructions and the control flow between them.

Plain data, filled by :mod:`.load`. Must not depend on rules.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ubypass.verify.classify import text
from ubypass.verify.errors import Rule, VerifyError
from ubypass.verify.insn import Insn, Kind

__all__ = ["NOWHERE", "Program"]

#: No position.
NOWHERE: Final = -1


@dataclass(slots=True)
class Program:
    """Decoded code. Positions are indexes into ``insns`` unless called offsets.

    ``values`` has the value of each instruction, ``places`` the position at each offset
    or NOWHERE. ``leave`` has the instructions that jump to the exit path,
    ``targets`` the target position of each direct branch, ``fixups`` the exit stub
    of each instruction in the fault table, ``dispatch`` the (pre, post) stubs of each
    dispatch, ``charges`` the budget charges that are followed by their branch.
    ``kinds`` has the positions of each kind of instruction, plain ones excepted,
    ``faulty`` those that need a fault entry, ``reads`` those that read a constant;
    ``forms`` has each record once.
    """

    code: bytes
    insns: list[Insn] = field(default_factory=list)
    values: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    kinds: list[list[int]] = field(default_factory=lambda: [[] for _ in Kind])
    faulty: list[int] = field(default_factory=list)
    reads: list[int] = field(default_factory=list)
    forms: set[Insn] = field(default_factory=set)
    entries: list[int] = field(default_factory=list)
    leave: set[int] = field(default_factory=set)
    targets: dict[int, int] = field(default_factory=dict)
    fixups: dict[int, int] = field(default_factory=dict)
    dispatch: dict[int, tuple[int, int]] = field(default_factory=dict)
    charges: set[int] = field(default_factory=set)

    def place(self, offset: int) -> int:
        """The position of the instruction that starts at ``offset``, or NOWHERE."""
        if 0 <= offset < len(self.places):
            return self.places[offset]
        return NOWHERE

    def error(self, at: int, rule: Rule, reason: str) -> VerifyError:
        """The exception for a broken rule at position ``at``."""
        offset = self.offsets[at]
        dispatch = self.insns[at].kind is Kind.DISPATCH
        what = "dispatch" if dispatch else text(self.code, offset)
        return VerifyError(rule, reason, offset, what)
