# SPDX-License-Identifier: GPL-2.0-only
"""Maps capstone's register numbers to the verifier's.

Depends on capstone's names only, not on instructions.
"""

from __future__ import annotations

from typing import Final

from capstone import x86_const as cs

from ubypass.verify.allowlist import GPR
from ubypass.verify.capstone_decoder import REGISTER, Operand
from ubypass.verify.encoding import RIP
from ubypass.verify.insn import NONE

__all__ = ["ADDRESS", "REGISTERS", "RSP", "VECTOR", "gpr64", "gpr_of"]

RSP: Final = 4
#: Registers by capstone's number: (register number, bytes, high byte?).
REGISTERS: Final[dict[int, tuple[int, int, bool]]] = {}
#: Registers in addresses, by capstone's number.
ADDRESS: Final[dict[int, int]] = {cs.X86_REG_INVALID: NONE, cs.X86_REG_RIP: RIP}
#: Registers of the vector state, MMX and x87 included.
VECTOR: Final = frozenset(
    (
        *range(cs.X86_REG_XMM0, cs.X86_REG_ZMM31 + 1),
        *range(cs.X86_REG_K0, cs.X86_REG_K7 + 1),
        *range(cs.X86_REG_MM0, cs.X86_REG_MM7 + 1),
        *range(cs.X86_REG_ST0, cs.X86_REG_ST7 + 1),
    )
)


def _fill_tables() -> None:
    old = {"rax": "a", "rcx": "c", "rdx": "d", "rbx": "b"}
    for number, name in enumerate(GPR):
        if name in old:
            letter = old[name]
            names = [name, f"e{letter}x", f"{letter}x", f"{letter}l"]
            high = getattr(cs, f"X86_REG_{letter.upper()}H")
            REGISTERS[high] = (number, 1, True)
        elif number < 8:
            names = [name, "e" + name[1:], name[1:], name[1:] + "l"]
        else:
            names = [name, name + "d", name + "w", name + "b"]
        for size, alias in zip((8, 4, 2, 1), names, strict=True):
            REGISTERS[getattr(cs, "X86_REG_" + alias.upper())] = (number, size, False)
        ADDRESS[getattr(cs, "X86_REG_" + name.upper())] = number


_fill_tables()


def gpr64(operand: Operand) -> int:
    """Number of a 64-bit general register operand, else NONE."""
    if operand.kind != REGISTER:
        return NONE
    number, size, _ = REGISTERS.get(operand.register, (NONE, 0, False))
    return number if size == 8 else NONE


def gpr_of(number: int) -> int:
    """The general register that contains capstone's register, else NONE."""
    return REGISTERS.get(number, (NONE, 0, False))[0]
