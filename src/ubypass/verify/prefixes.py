# SPDX-License-Identifier: GPL-2.0-only
"""Parses the prefixes before the opcode: legacy prefixes, REX, VEX, EVEX.

Any prefix without an effect is refused, because decoders and processors disagree
about such prefixes. Whether a bit of VEX or EVEX has an effect depends on the form and
is decided in :mod:`.encoding`. Must not depend on instructions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ubypass.verify.errors import Refusal, Rule

__all__ = ["EVEX", "LEGACY", "VEX", "Prefixes", "read"]

#: Families of encodings, as in :data:`.allowlist.Key`.
LEGACY: Final = 0
VEX: Final = 1
EVEX: Final = 2

_SIMD_PREFIX = (0, 0x66, 0xF3, 0xF2)
_VEX2, _VEX3, _EVEX = 0xC5, 0xC4, 0x62
# Prefixes without a use in 64-bit kernel code. gs: is per-CPU kernel data.
_REFUSED = {
    0x26: "es: prefix",
    0x2E: "cs: prefix or branch hint",
    0x36: "ss: prefix",
    0x3E: "ds: prefix, branch hint or notrack",
    0x65: "gs: prefix: kernel per-CPU data",
    0x67: "67h prefix: 32-bit addresses wrap",
}
_PREFIXES = frozenset(_REFUSED) | {0x64, 0x66, 0xF0, 0xF2, 0xF3}


@dataclass(init=False)
class Prefixes:
    """The prefixes of an instruction with its opcode at ``pos``.

    ``prefix``: the mandatory prefix, also if encoded in VEX or EVEX; ``rex``:
    bits W R X B as in REX, 0 if there is none; ``high_reg``: EVEX.R', set for registers
    from 16 on; ``vvvv``: register number, with EVEX.V' up to 31; ``length``: L, 2 for
    512 bits, 3 only as a rounding mode; ``mask``: EVEX.aaa; ``zeroing`` and ``extra``:
    EVEX.z and b.
    """

    family: int
    pos: int
    opmap: int
    prefix: int
    data16: bool
    lock: bool
    fs: bool
    rex: int
    high_reg: bool
    vvvv: int
    length: int
    mask: int
    zeroing: bool
    extra: bool

    def __init__(
        self,
        family: int,
        pos: int,
        opmap: int = 0,
        prefix: int = 0,
        data16: bool = False,
        lock: bool = False,
        fs: bool = False,
        rex: int = 0,
        high_reg: bool = False,
        vvvv: int = 0,
        length: int = 0,
        mask: int = 0,
        zeroing: bool = False,
        extra: bool = False,
    ) -> None:
        # Explicit, so that mypyc compiles it.
        self.family = family
        self.pos = pos
        self.opmap = opmap
        self.prefix = prefix
        self.data16 = data16
        self.lock = lock
        self.fs = fs
        self.rex = rex
        self.high_reg = high_reg
        self.vvvv = vvvv
        self.length = length
        self.mask = mask
        self.zeroing = zeroing
        self.extra = extra


def read(code: bytes) -> Prefixes:
    """Parses the prefixes up to the opcode.

    Raises Refusal, and IndexError when ``code`` ends before.
    """
    seen: set[int] = set()
    pos = 0
    byte = code[0]
    while byte in _PREFIXES:
        if byte in _REFUSED:
            raise Refusal(Rule.ENCODING, _REFUSED[byte])
        if byte in seen:
            raise Refusal(Rule.ENCODING, f"prefix {byte:02x}h twice")
        seen.add(byte)
        pos += 1
        byte = code[pos]
    rex = 0
    if byte & 0xF0 == 0x40:
        rex = byte
        pos += 1
        byte = code[pos]
        if byte in _PREFIXES or byte & 0xF0 == 0x40:
            raise Refusal(Rule.ENCODING, "REX is not the last prefix")
    if byte in (_VEX2, _VEX3, _EVEX):
        if rex or seen - {0x64}:
            raise Refusal(Rule.ENCODING, "prefix before VEX or EVEX")
        found = _evex(code, pos) if byte == _EVEX else _vex(code, pos)
        found.fs = 0x64 in seen
        return found
    if 0xF3 in seen and 0xF2 in seen:
        raise Refusal(Rule.ENCODING, "both F2h and F3h")
    found = Prefixes(LEGACY, pos, rex=rex)
    found.lock, found.fs, found.data16 = 0xF0 in seen, 0x64 in seen, 0x66 in seen
    for prefix in (0xF3, 0xF2, 0x66):
        if prefix in seen:
            found.prefix = prefix
            break
    if byte == 0x0F:
        found.opmap = {0x38: 2, 0x3A: 3}.get(code[pos + 1], 1)
        found.pos = pos + (1 if found.opmap == 1 else 2)
    return found


def _vex(code: bytes, pos: int) -> Prefixes:
    """SDM vol. 2, 2.3.5: register bits are stored inverted."""
    if code[pos] == _VEX2:
        payload = code[pos + 1]
        opmap, rex = 1, ~payload >> 5 & 4
        pos += 2
    else:
        first, payload = code[pos + 1], code[pos + 2]
        opmap = first & 0x1F
        rex = (~first >> 5 & 7) | (payload >> 4 & 8)
        pos += 3
    return Prefixes(
        VEX,
        pos,
        opmap=opmap,
        prefix=_SIMD_PREFIX[payload & 3],
        rex=rex,
        vvvv=~payload >> 3 & 15,
        length=payload >> 2 & 1,
    )


def _evex(code: bytes, pos: int) -> Prefixes:
    """SDM vol. 2, 2.7.1: register bits are stored inverted, V' too."""
    first, second, third = code[pos + 1], code[pos + 2], code[pos + 3]
    if first & 8 or not second & 4:
        raise Refusal(Rule.ENCODING, "reserved bits of EVEX")
    return Prefixes(
        EVEX,
        pos + 4,
        opmap=first & 7,
        prefix=_SIMD_PREFIX[second & 3],
        rex=(~first >> 5 & 7) | (second >> 4 & 8),
        high_reg=not first & 0x10,
        vvvv=(~second >> 3 & 15) | (~third << 1 & 0x10),
        length=third >> 5 & 3,
        mask=third & 7,
        zeroing=bool(third & 0x80),
        extra=bool(third & 0x10),
    )
