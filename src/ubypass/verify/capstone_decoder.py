# SPDX-License-Identifier: GPL-2.0-only
"""Decodes one instruction with capstone, through its public interface."""

from __future__ import annotations

from typing import Any, Final

import capstone
from capstone import x86_const as cs

__all__ = [
    "IMMEDIATE",
    "MEMORY",
    "REGISTER",
    "CapstoneDecoder",
    "Decoded",
    "Operand",
]

#: Kinds of operands. Plain integers, because they are compared often.
IMMEDIATE: Final[int] = cs.X86_OP_IMM
MEMORY: Final[int] = cs.X86_OP_MEM
REGISTER: Final[int] = cs.X86_OP_REG

_LONGEST: Final = 15  # bytes of the longest instruction
_READ: Final[int] = capstone.CS_AC_READ
_WRITE: Final[int] = capstone.CS_AC_WRITE


class Operand:
    """One operand; registers have capstone's numbers, 0 for none.

    ``kind`` is ``IMMEDIATE``, ``MEMORY`` or ``REGISTER``; ``register`` is set only for
    a register, the parts of an address only for memory. ``size`` in bytes; ``read`` and
    ``written``: whether a register is.
    """

    def __init__(self, operand: Any) -> None:
        kind: int = operand.type
        self._operand = operand
        self.kind = kind
        self.size: int = operand.size
        self.register = self.segment = self.base = self.index = 0
        self.scale, self.disp = 1, 0
        self.read = self.written = False
        if kind == REGISTER:
            self.register = operand.reg
            access: int = operand.access
            self.read = bool(access & _READ)
            self.written = bool(access & _WRITE)
        elif kind == MEMORY:
            mem = operand.mem
            self.segment, self.base, self.index = mem.segment, mem.base, mem.index
            self.scale, self.disp = mem.scale, mem.disp

    @property
    def immediate(self) -> int:
        """The number, if the operand is an immediate."""
        number: int = self._operand.imm
        return number

    @property
    def zeroing(self) -> bool:
        """Whether a mask register zeroes what it masks."""
        return bool(self._operand.avx_zero_opmask)


class Decoded:
    """One instruction.

    ``name`` is without a predicate, and may be another instruction's if the mnemonic
    has one. ``read`` and ``written``: capstone's numbers of the registers, implicit
    ones and those of addresses included.
    """

    def __init__(self, insn: Any, name: str) -> None:
        self._insn = insn
        self.size: int = insn.size
        self.name = name
        # First: capstone makes all details when one is asked for.
        self.operands = [Operand(operand) for operand in insn.operands]
        self.eflags: int = insn.eflags
        # Like capstone's regs_access(), which takes twice the time.
        self.read: list[int] = list(insn.regs_read)
        self.written: list[int] = list(insn.regs_write)
        for operand in self.operands:
            if operand.kind == REGISTER:
                if operand.read:
                    self.read.append(operand.register)
                if operand.written:
                    self.written.append(operand.register)
            elif operand.kind == MEMORY:
                for register in (operand.segment, operand.base, operand.index):
                    if register:
                        self.read.append(register)

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
