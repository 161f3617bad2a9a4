# SPDX-License-Identifier: GPL-2.0-only
"""Where an instruction ends and whether it is written the one expected way.

Reads prefixes, opcode, ModRM, SIB, displacement and immediate itself, so that
the length of every instruction and the address of every operand are known
twice: here and from capstone (:mod:`.decode` compares). Any prefix without an
effect is refused, because decoders and processors disagree about those.
Knows nothing of what instructions do.
"""

from __future__ import annotations

from dataclasses import dataclass

from ubypass.verify.allowlist import Form, allowed
from ubypass.verify.errors import Refusal, Rule
from ubypass.verify.insn import NONE

#: ``Encoding.base`` of an operand relative to the next instruction.
RIP = -2

_RSP = 4
_MAX_LENGTH = 15  # bytes; Intel SDM vol. 2, 2.3.11
_VEX_PREFIX = (0, 0x66, 0xF3, 0xF2)
_TWO_BYTE, _THREE_BYTE = 0xC5, 0xC4
# Prefixes without a use in 64-bit kernel code. gs: is per-CPU kernel data.
_REFUSED = {
    0x26: "es: prefix",
    0x2E: "cs: prefix or branch hint",
    0x36: "ss: prefix",
    0x3E: "ds: prefix, branch hint or notrack",
    0x65: "gs: prefix: kernel per-CPU data",
    0x67: "67h prefix: 32-bit addresses wrap",
}
# The only instructions that lock may precede, by first name in the list.
# fmt: off
_LOCKABLE = frozenset((
    "add", "or", "adc", "sbb", "and", "sub", "xor", "inc", "dec", "neg", "not",
    "xchg", "xadd", "cmpxchg", "cmpxchg8b", "cmpxchg16b", "bts", "btr", "btc",
))
# fmt: on


@dataclass(frozen=True, slots=True)
class Encoding:
    """One instruction taken apart; sizes in bytes.

    ``base`` and ``index`` are register numbers, ``NONE`` or ``RIP``; all address
    fields are meaningful only with ``memory``. ``size`` is the operand size.
    ``disp_at`` is where the ``disp_size`` bytes of a displacement are; an immediate
    of ``immediate`` bytes ends the instruction. ``prefix`` is the mandatory prefix
    that the form was found with, or 0.
    """

    form: Form
    length: int
    size: int
    memory: bool
    base: int
    index: int
    scale: int
    disp: int
    disp_at: int
    disp_size: int
    fs: bool
    lock: bool
    rex: int
    long_vector: bool
    immediate: int
    prefix: int


def parse(code: bytes, at: int, end: int) -> Encoding:
    """Takes the instruction at ``code[at:end]`` apart.

    Raises Refusal when it is not on the list, truncated by ``end``, or has a
    prefix that it does not need.
    """
    try:
        return _parse(code[at : min(end, at + _MAX_LENGTH)])
    except IndexError:
        raise Refusal(Rule.ENCODING, "the instruction is cut off") from None


def _parse(code: bytes) -> Encoding:
    lock = fs = False
    seen: set[int] = set()
    pos = 0
    byte = code[0]
    while byte in _LEGACY:
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
        if byte in _LEGACY or byte & 0xF0 == 0x40:
            raise Refusal(Rule.ENCODING, "REX is not the last prefix")
    lock, fs = 0xF0 in seen, 0x64 in seen
    data16 = 0x66 in seen
    vex = byte in (_TWO_BYTE, _THREE_BYTE)
    long_vector = False
    vvvv = 15
    if vex:
        if rex or lock or seen - {0x64}:
            raise Refusal(Rule.ENCODING, "prefix before VEX")
        if byte == _TWO_BYTE:
            payload = code[pos + 1]
            opmap, rex = 1, 0x40 | (~payload >> 5 & 4)
            pos += 2
        else:
            first, payload = code[pos + 1], code[pos + 2]
            opmap = first & 0x1F
            rex = 0x40 | (~first >> 5 & 7) | (payload >> 4 & 8)
            pos += 3
        vvvv = ~payload >> 3 & 15
        long_vector = bool(payload & 4)
        prefix = _VEX_PREFIX[payload & 3]
    else:
        if 0xF3 in seen and 0xF2 in seen:
            raise Refusal(Rule.ENCODING, "both F2h and F3h")
        prefix = 0xF3 if 0xF3 in seen else 0xF2 if 0xF2 in seen else 0x66 * data16
        opmap = 0
        if byte == 0x0F:
            opmap = 1
            pos += 1
            byte = code[pos]
            if byte in (0x38, 0x3A):
                opmap = 2 if byte == 0x38 else 3
                pos += 1
    opcode = code[pos]
    pos += 1
    forms = _TABLE.get((vex, prefix, opmap, opcode))
    spare66 = data16 and prefix == 0x66 and not vex
    if spare66:
        # 66h selects another instruction (SSE) or 16-bit operands: first the
        # forms that ask for it, then those with a choice of size.
        plain = _TABLE.get((vex, 0, opmap, opcode), ())
        forms = (forms or ()) + tuple(form for form in plain if form.size == "v")
    if not forms:
        raise Refusal(Rule.ENCODING, "not on the allow-list")
    modrm = code[pos] if any(form.modrm for form in forms) else 0
    form = _choose(forms, modrm, rex, long_vector)
    if spare66 and form in _TABLE.get((vex, 0x66, opmap, opcode), ()):
        spare66 = False
    elif data16 and not spare66:
        # With F2h or F3h mandatory, 66h may still choose the size.
        spare66 = prefix in (0xF2, 0xF3)
    _check_size_prefixes(form, spare66, rex, vex)
    size = _operand_size(form, spare66, rex)
    if vex and vvvv != 0 and "va" not in form.attributes:
        # vvvv is stored inverted: 1111b, "no operand", reads as 0 here.
        raise Refusal(Rule.ENCODING, "VEX.vvvv names an operand that is not there")

    memory, base, index, scale, disp = False, NONE, NONE, 1, 0
    disp_at = width = 0
    used = 8 if form.size in ("v", "y") or "w1" in form.attributes else 0
    if form.modrm:
        pos += 1
        mod, rm = modrm >> 6, modrm & 7
        memory = mod != 3
        if form.extension < 0:
            used |= 4
        if memory:
            width = (0, 1, 4)[mod]
            if rm == 4:
                sib = code[pos]
                pos += 1
                index = (sib >> 3 & 7) | (rex & 2) << 2
                scale = 1 << (sib >> 6)
                base = sib & 7
                if index == _RSP:
                    index = NONE
                    if scale != 1:
                        raise Refusal(Rule.ENCODING, "scale without an index")
                used |= 2
                if base == 5 and mod == 0:
                    base, width = NONE, 4
                else:
                    base |= (rex & 1) << 3
                    used |= 1
            elif rm == 5 and mod == 0:
                base, width = RIP, 4
            else:
                base = rm | (rex & 1) << 3
                used |= 1
            if width:
                raw = code[pos : pos + width]
                if len(raw) != width:
                    raise IndexError
                disp = int.from_bytes(raw, "little", signed=True)
                disp_at = pos
                pos += width
        else:
            used |= 1
    elif "+" in form.attributes:
        used |= 1
    byte_operand = "b" in form.attributes or "srcb" in form.attributes
    if not vex and (rex & ~used & 15 or (rex == 0x40 and not byte_operand)):
        raise Refusal(Rule.ENCODING, "REX without effect")
    if vex and rex & ~(used | 8) & 7:
        raise Refusal(Rule.ENCODING, "VEX register bit without effect")
    if fs and not memory:
        raise Refusal(Rule.ENCODING, "fs: prefix without a memory operand")
    if lock and not (memory and form.names[0] in _LOCKABLE):
        raise Refusal(Rule.ENCODING, "lock on what is not a read-modify-write")
    immediate = _immediate_size(form, size)
    pos += immediate
    if pos > len(code):
        raise IndexError
    if "is4" in form.attributes and code[pos - 1] & 15:
        raise Refusal(Rule.ENCODING, "bits of an immediate without effect")
    return Encoding(
        form, pos, size, memory, base, index, scale, disp, disp_at, width, fs, lock,
        rex, long_vector, immediate, prefix,
    )  # fmt: skip


def _choose(forms: tuple[Form, ...], modrm: int, rex: int, long_vector: bool) -> Form:
    """The one form that ModRM, REX and L select."""
    mod3 = modrm >> 6 == 3
    wide = bool(rex & 8)
    for form in forms:
        has = form.attributes
        if (
            (form.extension < 0 or form.extension == modrm >> 3 & 7)
            and not ("mem" in has and mod3)
            and not ("reg" in has and not mod3)
            and not ("w1" in has and not wide)
            and not ("w0" in has and wide)
            and not ("b1" in has and not rex & 1)
            and not ("b0" in has and rex & 1)
            and not ("l1" in has and not long_vector)
            and not ("l0" in has and long_vector)
            and not ("rm0" in has and modrm & 7 != 0)
            and not ("rm1" in has and modrm & 7 != 1)
        ):
            return form
    raise Refusal(Rule.ENCODING, "not on the allow-list in this form")


def _check_size_prefixes(form: Form, data16: bool, rex: int, vex: bool) -> None:
    """66h and REX.W only where they choose the operand size."""
    if data16:
        if form.size != "v" or "b" in form.attributes or "no66" in form.attributes:
            raise Refusal(Rule.ENCODING, "66h without effect, or on a branch")
        if rex & 8:
            raise Refusal(Rule.ENCODING, "66h and REX.W together")
    wide = form.size in ("v", "y") and "b" not in form.attributes
    if rex & 8 and not (vex or wide or "w1" in form.attributes):
        raise Refusal(Rule.ENCODING, "REX.W without effect")


def _operand_size(form: Form, data16: bool, rex: int) -> int:
    if "b" in form.attributes:
        return 1
    if form.size == "q" or rex & 8:
        return 8
    return 2 if data16 else 4


def _immediate_size(form: Form, size: int) -> int:
    has = form.attributes
    if "ib" in has or "rel8" in has or "is4" in has:
        return 1
    if "rel32" in has:
        return 4
    if "iz" in has:
        return min(size, 4)
    return size if "iv" in has else 0


_TABLE = allowed()
_LEGACY = frozenset(_REFUSED) | {0x64, 0x66, 0xF0, 0xF2, 0xF3}
