# SPDX-License-Identifier: GPL-2.0-only
"""One verified instruction: what the flow analysis needs, nothing else.

Made by :mod:`.decode` from bytes alone, so equal bytes give an equal record,
wherever they are. Knows nothing of where an instruction is.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ubypass.verify.encoding import NONE


class Kind(enum.IntEnum):
    """How an instruction takes part in control flow and in patterns."""

    PLAIN = 0
    JMP = 1
    BRANCH = 2  # conditional
    EXIT_NUMBER = 3  # mov dword [rsp+EXIT], imm32
    CHARGE = 4  # sub dword [rsp+BUDGET], imm
    PUSH = 5  # pushfq, push [flags slot]
    POP = 6  # popfq, pop [flags slot]
    TRAP = 7  # int3 padding
    DISPATCH = 8  # bytes that the module fills


class Op(enum.IntEnum):
    """Effects that carry knowledge about values; operands in a, b, c."""

    GENERIC = 0
    CONST = 1  # a = value b
    COPY = 2  # a = register b, 64 bits
    SHIFT = 3  # a = register b + c, 64 bits
    ALIGN = 4  # a &= -b, b a power of two
    COMPARE = 5  # cmp a, [LIMIT]
    CLAMP = 6  # cmova a, [LIMIT]
    RELOAD = 7  # a = 64 bits of a slot
    USP = 8  # a = 64 bits of the user rsp's slot
    ABOVE = 9  # ja: who only branches has not clamped


class Access(enum.IntEnum):
    """What a memory operand is."""

    NONE = 0
    FRAME = 1
    CONSTANT = 2  # [rip + disp]: where is known only with the position
    THREAD = 3  # fs:[disp32]
    USER = 4  # [register + disp]


@dataclass(frozen=True, slots=True)
class Insn:
    """Masks have bit n for host register n, see also :mod:`.slots`.

    ``reads``: what must not be kernel garbage; ``defines``: what is not garbage
    afterwards; ``writes``: (register, zero-extended 32-bit value?) pairs.
    ``must_fault``/``may_fault``: a fault entry is needed/allowed. ``store_slot``
    is the frame slot written, or NONE. ``number``
    is the immediate of EXIT_NUMBER and CHARGE, the slot of PUSH and POP (0: host
    flags). ``tail``: allowed after the exit
    number. ``relative``: bytes of a branch's displacement, which ends the
    instruction; ``on_sign``: it is js. ``prelude``: may stand in an exit stub before
    the exit number: touches neither user memory nor the module's slots.
    ``features``: needed CPU features, as the kernel names them.
    """

    length: int
    kind: Kind = Kind.PLAIN
    op: Op = Op.GENERIC
    a: int = 0
    b: int = 0
    c: int = 0
    reads: int = 0
    defines: int = 0
    writes: tuple[tuple[int, bool], ...] = ()
    kills_flags: bool = False
    access: Access = Access.NONE
    base: int = NONE
    disp: int = 0
    size: int = 0
    must_fault: bool = False
    may_fault: bool = False
    store_slot: int = NONE
    target_store: bool = False
    tail: bool = False
    relative: int = 0
    on_sign: bool = False
    prelude: bool = False
    number: int = 0
    features: frozenset[str] = frozenset()
    vector: bool = False
