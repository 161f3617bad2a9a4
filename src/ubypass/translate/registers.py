# SPDX-License-Identifier: GPL-2.0-only
"""The assignment of user registers to host registers.

Registers have hardware numbers: rax 0, rcx 1, rdx 2, rbx 3, rsp 4, rbp 5, rsi 6, rdi 7,
r8 to r15. The place of a value at one point of the code is the subject of
:mod:`ubypass.translate.state`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, cast

from iced_x86 import Register, RegisterExt

from ubypass.abi import FRAME_REGS, REGS_OFFSET
from ubypass.translate.iced import IcedRegister

__all__ = [
    "ARGUMENTS",
    "CALLER_SAVED",
    "NAMES",
    "R8",
    "R9",
    "R10",
    "R11",
    "R12",
    "R13",
    "R14",
    "R15",
    "RAX",
    "RBP",
    "RBX",
    "RCX",
    "RDI",
    "RDX",
    "RSI",
    "RSP",
    "SLOT",
    "RegisterAssignment",
    "assign_registers",
    "gpr64",
    "is_high_byte",
    "number",
    "resized",
    "width",
]

RAX: Final = 0
RCX: Final = 1
RDX: Final = 2
RBX: Final = 3
RSP: Final = 4
RBP: Final = 5
RSI: Final = 6
RDI: Final = 7
R8: Final = 8
R9: Final = 9
R10: Final = 10
R11: Final = 11
R12: Final = 12
R13: Final = 13
R14: Final = 14
R15: Final = 15

NAMES = (
    *("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"),
    *("r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"),
)

#: Host registers that a C function may change.
CALLER_SAVED: Final = frozenset({RAX, RCX, RDX, RSI, RDI, R8, R9, R10, R11})

#: Argument registers of system calls, in order.
ARGUMENTS: Final = (RDI, RSI, RDX, R10, R8, R9)

#: Offset from host rsp of each user register in ``pt_regs``.
SLOT: Final = tuple(FRAME_REGS + REGS_OFFSET[name] for name in NAMES)

# Candidates for the host register of the user's rsp: callee-saved, so that a dispatch
# preserves it; rarely used ones first, to win a tie.
_CANDIDATES: Final = (R15, R14, R13, R12, RBX, RBP)
# Candidates for scratch registers: no instruction has them as implicit operands.
# Caller-saved ones first, to win a tie.
_SCRATCH: Final = (R11, R10, R9, R8, R15, R14, R13, R12, RBP, RBX)

_GPR64: Final = (
    *(Register.RAX, Register.RCX, Register.RDX, Register.RBX),
    *(Register.RSP, Register.RBP, Register.RSI, Register.RDI),
    *(Register.R8, Register.R9, Register.R10, Register.R11),
    *(Register.R12, Register.R13, Register.R14, Register.R15),
)
_NUMBER: Final = {
    register: _GPR64.index(RegisterExt.full_register(cast(IcedRegister, register)))
    for register in range(Register.AL, Register.R15 + 1)
}
_HIGH: Final = frozenset({Register.AH, Register.CH, Register.DH, Register.BH})


def number(register: IcedRegister) -> int | None:
    """The number of the general register that contains ``register`` (iced)."""
    return _NUMBER.get(register)


_WIDTH: Final = {
    register: RegisterExt.size(cast(IcedRegister, register))
    for register in vars(Register).values()
    if isinstance(register, int)
}


def width(register: IcedRegister) -> int:
    """Bytes of an iced register."""
    return _WIDTH[register]


def is_high_byte(register: IcedRegister) -> bool:
    """Whether it is AH, CH, DH or BH."""
    return register in _HIGH


def resized(register: IcedRegister, host: int) -> IcedRegister:
    """The iced register as wide as ``register`` in host register ``host``.

    Raises ValueError for AH, CH, DH and BH unless ``host`` is their own.
    """
    if register in _HIGH:
        if _NUMBER[register] != host:
            raise ValueError("a high byte cannot move to another register")
        return register
    size = _WIDTH[register]
    if size == 8:
        return _GPR64[host]
    if size == 4:
        return cast(IcedRegister, Register.EAX + host)
    if size == 2:
        return cast(IcedRegister, Register.AX + host)
    if size != 1:
        raise ValueError(f"no general register of {size} bytes")
    # iced numbers AL CL DL BL AH CH DH BH SPL BPL SIL DIL R8L...
    first = Register.AL if host < 4 else Register.SPL - 4
    return cast(IcedRegister, first + host)


def gpr64(host: int) -> IcedRegister:
    """The iced register for 64 bits of host register ``host``."""
    return _GPR64[host]


@dataclass(frozen=True)
class RegisterAssignment:
    """Host register of each user register, -1 for a spilled one."""

    host: tuple[int, ...]
    #: Scratch host registers.
    s0: int
    s1: int
    #: User registers that are not in the host register of the same name.
    moved: frozenset[int]
    #: User registers that have a host register, and the bits of ``moved``.
    kept: tuple[int, ...]
    away: int

    @property
    def host_rsp(self) -> int:
        """Host register of the user's rsp."""
        return self.host[RSP]

    @property
    def owner(self) -> int:
        """The user register whose host register holds the user's rsp."""
        return self.host[RSP]

    def spilled(self, user: int) -> bool:
        """Whether the user register is in ``pt_regs`` only."""
        return self.host[user] < 0


def assign_registers(
    counts: Sequence[int], fixed: Collection[int] = ()
) -> RegisterAssignment:
    """The assignment for a region in which user register n is used ``counts[n]`` times;
    ``fixed`` ones are needed under their own name if possible.
    """

    def cost(user: int) -> tuple[bool, int]:
        return user in fixed, counts[user]

    owner = min(_CANDIDATES, key=cost)
    s0, s1 = sorted((user for user in _SCRATCH if user != owner), key=cost)[:2]
    host = list(range(16))
    host[s0] = host[s1] = host[owner] = -1
    host[RSP] = owner
    moved = frozenset(user for user in range(16) if host[user] != user)
    kept = tuple(user for user in range(16) if host[user] >= 0)
    away = sum(1 << user for user in moved)
    return RegisterAssignment(tuple(host), s0, s1, moved, kept, away)
