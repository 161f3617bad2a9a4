# SPDX-License-Identifier: GPL-2.0-only
"""Code to records of instructions, each form judged once.

Remembers what :mod:`.judge` said of the bytes that decide about an instruction. No
instruction's decisive bytes are the beginning of another's, so what is found is
what judging anew would say. Knows nothing of control flow.
"""

from __future__ import annotations

import functools
import struct
from typing import Final

import capstone
from capstone import x86_const as cs

from ubypass.verify.encoding import parse
from ubypass.verify.errors import Refusal, Rule
from ubypass.verify.insn import Insn, Kind
from ubypass.verify.judge import judge
from ubypass.verify.second import Engine

_MEMORY = 16384  # forms to remember: about 8 MiB
_INT3: Final = 0xCC
# Signed numbers of four and eight bytes.
_FOUR: Final = struct.Struct("<i")
_EIGHT: Final = struct.Struct("<q")
#: Instructions, their offsets and the numbers beside them, of equal length.
Listing = tuple[list[Insn], list[int], list[int]]


@functools.cache
def decoder() -> Decoder:
    """The decoder that all verifications share.

    On purpose, unlike everything else: what it keeps depends on nothing but the
    bytes of one instruction, and regions are verified again whenever they grow.
    """
    return Decoder()


class Decoder:
    """Decodes instructions; those that differ in numbers only are judged once."""

    def __init__(self) -> None:
        self._engine = Engine()
        self._forget()

    def _forget(self) -> None:
        # First bytes of an instruction (two, or the one that decides) to the
        # numbers of bytes that decide, each with what they decide.
        self._known: dict[bytes, list[tuple[int, dict[bytes, Insn]]]] = {
            bytes([_INT3]): [(1, {bytes([_INT3]): Insn(1, Kind.TRAP, noted=True)})]
        }
        self._count = 0

    def decode(self, code: bytes, at: int, end: int) -> tuple[Insn, int]:
        """The instruction at ``at``, which must end at or before ``end``, and the
        number beside it.

        Raises Refusal when a rule is broken that does not depend on position.
        """
        out: Listing = ([], [], [])
        self.sweep(code, at, at + parse(code, at, end).length, out)
        if not out[0]:
            self._judge(code, at, end)
            raise Refusal(Rule.ENCODING, "the decoder contradicts itself")
        return out[0][0], out[2][0]

    def sweep(self, code: bytes, at: int, end: int, out: Listing) -> int:
        """Appends the instructions from ``at`` to ``end`` to ``out``, without gaps.

        Returns ``end``, or where the first one is that is refused.
        """
        insns, offsets, values = out
        known = self._known
        four, eight = _FOUR.unpack_from, _EIGHT.unpack_from
        while at < end:
            found = None
            for length, table in (
                known.get(code[at : at + 2]) or known.get(code[at : at + 1]) or ()
            ):
                # Bytes that are a whole instruction are one wherever they stand.
                found = table.get(code[at : at + length])
                if found is not None:
                    break
            else:
                try:
                    found = self._judge(code, at, end)
                except Refusal:
                    return at
                known = self._known
            following = at + found.length
            if following > end:
                return at
            size = found.field_size
            value = found.value
            if size:
                start = at + found.field_at
                if size == 4:
                    value = four(code, start)[0] * found.factor
                elif size == 1:
                    value = code[start]
                    if value > 127:
                        value -= 256
                    value *= found.factor
                else:
                    value = eight(code, start)[0] * found.factor
            insns.append(found)
            offsets.append(at)
            values.append(value)
            at = following
        return at

    def _judge(self, code: bytes, at: int, end: int) -> Insn:
        encoding = parse(code, at, end)
        length = encoding.length
        insn, decisive = judge(self._engine, code[at : at + length], encoding)
        if self._count >= _MEMORY:
            self._forget()
        self._count += 1
        key = code[at : at + decisive]
        tables = self._known.setdefault(key[:2], [])
        for known, table in tables:
            if known == decisive:
                table[key] = insn
                return insn
        tables.append((decisive, {key: insn}))
        return insn

    def refused(self, code: bytes, at: int) -> Rule:
        """Which rule the bytes at ``at``, not on the list, are best named after."""
        groups = (
            capstone.CS_GRP_JUMP,
            capstone.CS_GRP_CALL,
            capstone.CS_GRP_RET,
            capstone.CS_GRP_INT,
            capstone.CS_GRP_IRET,
        )
        for insn in self._engine.plain.disasm(code[at : at + 15], at, 1):
            if any(insn.group(group) for group in groups):
                return Rule.BRANCH
            if cs.X86_REG_RSP in insn.regs_access()[1]:
                return Rule.STACK
        return Rule.ENCODING
