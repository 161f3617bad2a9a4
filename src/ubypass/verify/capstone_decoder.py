# SPDX-License-Identifier: GPL-2.0-only
"""Decodes one instruction with capstone, through its public interface."""

from __future__ import annotations

from typing import Any, Final

import capstone

__all__ = ["CapstoneDecoder", "Decoded"]

_LONGEST: Final = 15  # bytes of the longest instruction


class Decoded:
    """One instruction.

    ``name`` is without a predicate, and may be another instruction's if the mnemonic
    has one. ``operands`` are capstone's; ``read`` and ``written``: its numbers of the
    registers, implicit ones included.
    """

    def __init__(self, insn: Any, name: str) -> None:
        self._insn = insn
        self.size: int = insn.size
        self.name = name
        # First: capstone makes all details when one is asked for.
        self.operands: list[Any] = insn.operands
        self.eflags: int = insn.eflags
        self.read: list[int]
        self.written: list[int]
        self.read, self.written = insn.regs_access()

    @property
    def mnemonic(self) -> str:
        """The mnemonic as printed by capstone; rarely needed."""
        mnemonic: str = self._insn.mnemonic
        return mnemonic


class CapstoneDecoder:
    """Capstone with details enabled; ``plain`` is its own decoder."""

    def __init__(self) -> None:
        self.plain: Any = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
        self.plain.detail = True
        self._names: dict[int, str] = {}

    def decode(self, raw: bytes) -> Decoded | None:
        """The instruction at the start of ``raw``; None if there is no valid one."""
        for insn in self.plain.disasm(raw[:_LONGEST], 0, 1):
            number: int = insn.id
            name = self._names.get(number)
            if name is None:
                name = self._names[number] = insn.insn_name()
            return Decoded(insn, name)
        return None
