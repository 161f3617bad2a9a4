# SPDX-License-Identifier: GPL-2.0-only
"""The record of one form of instruction, for the flow analysis.

Made by :mod:`.classify` from bytes alone. Instructions that differ only in numbers that
no rule depends on share a record. A number that matters is not in the record but
stored for each position (``values`` in :class:`.program.Program`). Independent of the
position of an instruction.
"""

from __future__ import annotations

import enum
from typing import Final

from ubypass.verify.predicates import OF_FLAGS

__all__ = ["NONE", "Access", "Insn", "Kind", "Op"]

NONE: Final = -1


class Kind(enum.IntEnum):
    """The role of an instruction in control flow and in patterns."""

    PLAIN = 0
    JMP = 1
    BRANCH = 2  # conditional
    EXIT_NUMBER = 3  # mov dword [rsp+EXIT], value
    CHARGE = 4  # sub dword [rsp+BUDGET], value
    PUSH = 5  # pushfq, push [flags slot]; value: the slot, 0 for host flags
    POP = 6  # popfq, pop [flags slot]; the same
    TRAP = 7  # int3 padding
    DISPATCH = 8  # bytes that the module fills
    CHARGE_COUNT = 9  # sub dword [rsp+BUDGET], ecx
    STRING = 10  # a string instruction
    FIP = 11  # mov dword [rsp+FIP], value (a: 0) or [rsp+FIP+4] (a: 1)


class Op(enum.IntEnum):
    """Effects on the abstract values of registers; operands in a and b."""

    NOTHING = 0  # no general register changes, and none is compared
    GENERIC = 1
    CONST = 2  # a = value & b
    COPY = 3  # a = register b, 64 bits
    SHIFT = 4  # a = register b + value, 64 bits
    ALIGN = 5  # a &= -value, value a power of two
    COMPARE = 6  # cmp a, [LIMIT]
    CLAMP = 7  # cmovae a, [LIMIT]
    RELOAD = 8  # a = 64 bits of a slot
    USER_RSP = 9  # a = 64 bits of the user rsp's slot
    ABOVE = 10  # ja: a branch alone does not clamp
    COUNT = 11  # cmp rcx, value
    STRING = 12  # rdi and rsi (if a has their bits) move up by size; b: repeated
    SMALL = 13  # a = a value of 32 bits - b
    EQUATE = 14  # cmp a, value, of 32 bits


class Access(enum.IntEnum):
    """The kind of a memory operand."""

    NONE = 0
    FRAME = 1
    CONSTANT = 2  # [rip + value]: the address depends on the position
    THREAD = 3  # fs:[disp32]
    USER = 4  # [register + value], or with a small index
    STRING = 5  # [rdi], [rsi] or both, as Op.STRING says


class Insn:
    """Masks of predicates have the bits of :mod:`.predicates`.

    ``reads``: registers and slots that must not hold kernel data; ``keeps``: predicates
    that still hold afterwards, ``sets``: predicates that always hold then. ``writes``:
    (register, zero-extended 32-bit value?) pairs. ``must_fault``/``may_fault``:
    a fault entry is needed/allowed. ``size``: bytes of a user access.
    ``target_store``: writes the TARGET slot. ``tail``: allowed after the exit
    number. ``on_sign``: a js; ``equal``: 1 for je, -1 for jne.
    ``slot``: the frame slot accessed; ``stores``: writes the slot, with 64 bits of
    register ``source`` unless ``source`` is NONE. ``noted``: needs a check that depends
    on its position (kind, fault entry, constant). ``prelude``: allowed in an exit stub
    before the exit number: accesses neither user memory nor the module's slots.
    ``features``: needed CPU features, by the kernel's names. ``vector``: uses the
    vector state; ``x87``: sets FIP.

    The value is ``value``, or, with ``field_size``, the signed number of ``field_size``
    bytes at ``field_at`` from the start of the instruction, times ``factor``.
    """

    def __init__(
        self,
        length: int,
        kind: Kind = Kind.PLAIN,
        op: Op = Op.NOTHING,
        a: int = 0,
        b: int = 0,
        reads: int = 0,
        keeps: int = ~OF_FLAGS,
        sets: int = 0,
        writes: tuple[tuple[int, bool], ...] = (),
        access: Access = Access.NONE,
        base: int = NONE,
        index: int = NONE,
        scale: int = 1,
        size: int = 0,
        must_fault: bool = False,
        may_fault: bool = False,
        target_store: bool = False,
        tail: bool = False,
        on_sign: bool = False,
        prelude: bool = False,
        features: frozenset[str] = frozenset(),
        vector: bool = False,
        x87: bool = False,
        value: int = 0,
        field_at: int = 0,
        field_size: int = 0,
        factor: int = 1,
        noted: bool = False,
        equal: int = 0,
        slot: int = NONE,
        stores: bool = False,
        source: int = NONE,
    ) -> None:
        # Explicit, so that mypyc compiles it: there are many, in frequent use.
        self.length: Final = length
        self.kind: Final = kind
        self.op: Final = op
        self.a: Final = a
        self.b: Final = b
        self.reads: Final = reads
        self.keeps: Final = keeps
        self.sets: Final = sets
        self.writes: Final = writes
        self.access: Final = access
        self.base: Final = base
        self.index: Final = index
        self.scale: Final = scale
        self.size: Final = size
        self.must_fault: Final = must_fault
        self.may_fault: Final = may_fault
        self.target_store: Final = target_store
        self.tail: Final = tail
        self.on_sign: Final = on_sign
        self.prelude: Final = prelude
        self.features: Final = features
        self.vector: Final = vector
        self.x87: Final = x87
        self.value: Final = value
        self.field_at: Final = field_at
        self.field_size: Final = field_size
        self.factor: Final = factor
        self.noted: Final = noted
        self.equal: Final = equal
        self.slot: Final = slot
        self.stores: Final = stores
        self.source: Final = source
