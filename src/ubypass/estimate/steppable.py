# SPDX-License-Identifier: GPL-2.0-only
"""Which instructions may be single-stepped without an effect that the program sees.

Excluded are instructions that store the flags (pushf), set them (popf, iret), enter the
kernel, trap, delay the trap (mov ss), leave 64-bit code, or begin a transaction, which
a trap aborts. The list is that of ``ub_can_step`` in the module's ``trace_gap.c``.
"""

from __future__ import annotations

from typing import Final

__all__ = ["LONGEST", "is_syscall", "may_step"]

LONGEST: Final = 15  # bytes of an instruction

_SYSCALL = b"\x0f\x05"
_PREFIXES = frozenset(
    (*(0x26, 0x2E, 0x36, 0x3E), *range(0x64, 0x68), 0xF0, 0xF2, 0xF3)
) | frozenset(range(0x40, 0x50))
#: mov to a segment register, pushf, popf, far returns, int3, int, iret, int1
_NEVER = frozenset((0x8E, 0x9C, 0x9D, 0xCA, 0xCB, 0xCC, 0xCD, 0xCF, 0xF1))
#: Behind 0f: syscall, sysret, sysenter, sysexit, lss
_NEVER_0F = frozenset((0x05, 0x07, 0x34, 0x35, 0xB2))
_XBEGIN = 0xF8
_RDTSCP = 0xF9
_FAR = (3, 5)  # /3 and /5 of ff


def is_syscall(code: bytes) -> bool:
    """Whether ``code`` begins with a ``syscall`` instruction."""
    return code[:2] == _SYSCALL


def may_step(code: bytes) -> bool:
    """Whether the instruction at the start of ``code`` may be stepped.

    False for empty code, and for an instruction that does not fit.
    """
    if not code:
        return False
    text = code[:LONGEST].ljust(LONGEST + 3, b"\0")
    at = next((n for n in range(LONGEST) if text[n] not in _PREFIXES), LONGEST)
    opcode, second, third = text[at : at + 3]
    if opcode in _NEVER:
        return False
    if opcode == 0xC7:
        return second != _XBEGIN
    if opcode == 0xFF:
        return second >> 3 & 7 not in _FAR
    if opcode == 0x0F:
        if second == 0x01:
            return third == _RDTSCP
        return second not in _NEVER_0F
    return True
