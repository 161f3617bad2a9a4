# SPDX-License-Identifier: GPL-2.0-only
"""Decode code to records of instructions; each form is classified once.

Caches the results of :mod:`.classify` by the decisive bytes of an instruction. The
decisive bytes of one instruction are never a prefix of another's, so a cache hit equals
a new classification. Must not depend on control flow.
"""

from __future__ import annotations

import functools
import struct
from typing import Final

import capstone
from capstone import x86_const as cs

from ubypass.verify.capstone_decoder import CapstoneDecoder
from ubypass.verify.classify import classify
from ubypass.verify.encoding import parse
from ubypass.verify.errors import Refusal, Rule
from ubypass.verify.insn import Insn, Kind

__all__ = ["Decoder", "Listing", "shared_decoder"]

_MEMORY = 16384  # forms to cache: about 8 MiB
_INT3: Final = 0xCC
_EIGHT: Final = struct.Struct("<q")
# Pairs: a number of decisive bytes, and the records by these bytes.
_Tables = list[tuple[int, dict[bytes, Insn]]]
#: Instructions, their offsets and their values; lists of equal length.
Listing = tuple[list[Insn], list[int], list[int]]


@functools.cache
def shared_decoder() -> Decoder:
    """The decoder that all verifications share.

    Shared on purpose, unlike everything else: a cached record depends only on the
    bytes of one instruction, and regions are verified again whenever they grow.
    """
    return Decoder()


class Decoder:
    """Decodes instructions; classifies those that differ only in numbers once."""

    def __init__(self) -> None:
        self._capstone = CapstoneDecoder()
        self._forget()

    def _forget(self) -> None:
        # By the first two bytes of an instruction, or by the only decisive one: the
        # tables for each number of decisive bytes.
        self._pairs: list[_Tables | None] = [None] * (1 << 16)
        self._singles: list[_Tables | None] = [None] * (1 << 8)
        trap = bytes([_INT3])
        self._singles[_INT3] = [(1, {trap: Insn(1, Kind.TRAP, noted=True)})]
        self._count = 0

    def decode(self, code: bytes, at: int, end: int) -> tuple[Insn, int]:
        """The instruction at ``at``, which must end at or before ``end``, and its
        value.

        Raises Refusal when a rule is broken that does not depend on position.
        """
        out: Listing = ([], [], [])
        self.sweep(code, at, at + parse(code, at, end).length, out)
        if not out[0]:
            self._classify(code, at, end)
            raise Refusal(Rule.ENCODING, "the decoder contradicts itself")
        return out[0][0], out[2][0]

    def sweep(self, code: bytes, at: int, end: int, out: Listing) -> int:
        """Appends the instructions from ``at`` to ``end`` to ``out``, without gaps.

        Returns ``end``, or the offset of the first refused instruction.
        """
        insns, offsets, values = out
        pairs, singles, last = self._pairs, self._singles, len(code) - 1
        while at < end:
            first = code[at]
            tables = pairs[first | code[at + 1] << 8] if at < last else None
            if tables is None:
                tables = singles[first]
            found = None
            if tables is not None:
                for length, table in tables:
                    # A whole instruction is the same at any position.
                    found = table.get(code[at : at + length])
                    if found is not None:
                        break
            if found is None:
                try:
                    found = self._classify(code, at, end)
                except Refusal:
                    return at
                pairs, singles = self._pairs, self._singles
            following = at + found.length
            if following > end:
                return at
            size = found.field_size
            value = found.value
            if size:
                start = at + found.field_at
                if size == 1:
                    value = code[start]
                    if value >= 1 << 7:
                        value -= 1 << 8
                elif size == 4:
                    value = code[start] | code[start + 1] << 8
                    value |= code[start + 2] << 16 | code[start + 3] << 24
                    if value >= 1 << 31:
                        value -= 1 << 32
                else:
                    value = _EIGHT.unpack_from(code, start)[0]
                value *= found.factor
            insns.append(found)
            offsets.append(at)
            values.append(value)
            at = following
        return at

    def _classify(self, code: bytes, at: int, end: int) -> Insn:
        encoding = parse(code, at, end)
        length = encoding.length
        insn, decisive = classify(self._capstone, code[at : at + length], encoding)
        if self._count >= _MEMORY:
            self._forget()
        self._count += 1
        key = code[at : at + decisive]
        if decisive == 1:
            place, where = key[0], self._singles
        else:
            place, where = key[0] | key[1] << 8, self._pairs
        tables = where[place]
        if tables is None:
            tables = where[place] = []
        for known, table in tables:
            if known == decisive:
                table[key] = insn
                return insn
        tables.append((decisive, {key: insn}))
        return insn

    def refused(self, code: bytes, at: int) -> Rule:
        """The rule to report for the bytes at ``at``, which are not on the list."""
        groups = (
            capstone.CS_GRP_JUMP,
            capstone.CS_GRP_CALL,
            capstone.CS_GRP_RET,
            capstone.CS_GRP_INT,
            capstone.CS_GRP_IRET,
        )
        for insn in self._capstone.plain.disasm(code[at : at + 15], at, 1):
            if any(insn.group(group) for group in groups):
                return Rule.BRANCH
            if cs.X86_REG_RSP in insn.regs_access()[1]:
                return Rule.STACK
        return Rule.ENCODING
