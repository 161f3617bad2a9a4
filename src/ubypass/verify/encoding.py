# SPDX-License-Identifier: GPL-2.0-only
"""Parse an instruction: its length, and whether its encoding is an allowed one.

Decodes opcode, ModRM, SIB, displacement and immediate without capstone, so that the
length of every instruction and the address of every operand are determined twice
(:mod:`.classify` compares). Must not depend on the effects of instructions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ubypass.verify.allowlist import Form, allowed
from ubypass.verify.errors import Refusal, Rule
from ubypass.verify.insn import NONE
from ubypass.verify.prefixes import EVEX, LEGACY, VEX, Prefixes, read

__all__ = ["RIP", "Encoding", "parse"]

#: ``Encoding.base`` of an operand relative to the next instruction.
RIP: Final = -2

_RSP: Final = 4
_MAX_LENGTH: Final = 15  # bytes; Intel SDM vol. 2, 2.3.11
# bits of REX
_W: Final = 8
_R: Final = 4
_X: Final = 2
_B: Final = 1
# The only instructions that lock may precede, by first name in the list, if their
# destination is memory (SDM vol. 2, LOCK: all else is #UD).
# fmt: off
_LOCKABLE: Final = frozenset((
    "add", "or", "adc", "sbb", "and", "sub", "xor", "inc", "dec", "neg", "not",
    "xchg", "xadd", "cmpxchg", "cmpxchg8b", "cmpxchg16b", "bts", "btr", "btc",
))
# fmt: on
# add, or, adc, sbb, and, sub, xor and cmp have the opcodes below this one.
_NEXT_AFTER_ALU: Final = 0x40


@dataclass(init=False)
class Encoding:
    """One parsed instruction; sizes in bytes.

    ``base`` and ``index`` are register numbers, ``NONE`` or ``RIP``; all address
    fields are meaningful only with ``memory``. ``size`` is the operand size,
    ``memory_size`` the size of a memory operand, 0 if nothing is accessed. ``disp_at``
    is the offset of the ``disp_size`` bytes of a displacement, in units of ``unit``; an
    immediate of ``immediate`` bytes ends the instruction. ``prefix`` is the mandatory
    prefix of the form, or 0. ``longest``: the form is used in its longest vector
    length. ``mask`` and ``zeroing``: EVEX.
    """

    form: Form
    family: int
    prefix: int
    length: int
    size: int
    memory: bool
    memory_size: int
    base: int
    index: int
    scale: int
    disp: int
    disp_at: int
    disp_size: int
    unit: int
    fs: bool
    lock: bool
    longest: bool
    immediate: int
    mask: int
    zeroing: bool

    def __init__(
        self,
        form: Form,
        family: int,
        prefix: int,
        length: int = 0,
        size: int = 0,
        memory: bool = False,
        memory_size: int = 0,
        base: int = NONE,
        index: int = NONE,
        scale: int = 1,
        disp: int = 0,
        disp_at: int = 0,
        disp_size: int = 0,
        unit: int = 1,
        fs: bool = False,
        lock: bool = False,
        longest: bool = False,
        immediate: int = 0,
        mask: int = 0,
        zeroing: bool = False,
    ) -> None:
        # Explicit, so that mypyc compiles it.
        self.form = form
        self.family = family
        self.prefix = prefix
        self.length = length
        self.size = size
        self.memory = memory
        self.memory_size = memory_size
        self.base = base
        self.index = index
        self.scale = scale
        self.disp = disp
        self.disp_at = disp_at
        self.disp_size = disp_size
        self.unit = unit
        self.fs = fs
        self.lock = lock
        self.longest = longest
        self.immediate = immediate
        self.mask = mask
        self.zeroing = zeroing


def parse(code: bytes, at: int, end: int) -> Encoding:
    """Parses the instruction at ``code[at:end]``.

    Raises Refusal when the instruction is not on the list, is truncated by ``end``, or
    has a prefix without an effect.
    """
    try:
        return _parse(code[at : min(end, at + _MAX_LENGTH)])
    except IndexError:
        raise Refusal(Rule.ENCODING, "the instruction is cut off") from None


def _parse(code: bytes) -> Encoding:
    head = read(code)
    family, prefix = head.family, head.prefix
    opcode = code[head.pos]
    pos = head.pos + 1
    forms = _TABLE.get((family, prefix, head.opmap, opcode), ())
    mandatory = forms
    if prefix == 0x66 and family == LEGACY:
        # 66h selects another instruction (SSE) or 16-bit operands: first the forms
        # that require it, then those with a choice of size.
        plain = _TABLE.get((family, 0, head.opmap, opcode), ())
        forms += tuple(form for form in plain if form.size == "v")
    if not forms:
        raise Refusal(Rule.ENCODING, "not on the allow-list")
    modrm = code[pos] if any(form.modrm for form in forms) else 0
    form = _choose(forms, modrm, head)
    # With F2h or F3h mandatory, 66h may still choose the size.
    data16 = head.data16 and (prefix != 0x66 or form not in mandatory)
    _check_size_prefixes(form, data16, head)
    size = _operand_size(form, data16, head.rex)
    parts = Encoding(form, family, prefix, size=size, fs=head.fs, lock=head.lock)
    used = _W if form.size in ("v", "y") or "w1" in form.attributes else 0
    if form.modrm:
        pos += 1
        parts.memory = modrm < 0xC0
        if form.extension < 0 and "kr" not in form.attributes:
            used |= _R
        if parts.memory:
            pos, registers = _address(code, pos, modrm, head.rex, parts)
            used |= registers
        elif "km" not in form.attributes and form.rm < 0:
            used |= _B
            if family == EVEX and "gm" not in form.attributes:
                used |= _X
    elif "+" in form.attributes:
        used |= _B
    _check_register_bits(form, head, used)
    if family != LEGACY:
        _check_vector_bits(form, head, parts)
    length = _vector_length(form, head, parts.memory)
    parts.longest = (
        length > 0 if family == VEX else length == 2 or "lig" in form.attributes
    )
    if parts.memory:
        parts.memory_size = _memory_size(form, head, size, length)
        if family == EVEX and parts.disp_size == 1:
            # disp8*N: the unit is the size of the access (SDM vol. 2, 2.7.5).
            parts.unit = max(parts.memory_size, 1)
            parts.disp *= parts.unit
    elif parts.fs:
        raise Refusal(Rule.ENCODING, "fs: prefix without a memory operand")
    if parts.lock and not (parts.memory and _may_lock(form, head.opmap, opcode)):
        raise Refusal(Rule.ENCODING, "lock on what is not a read-modify-write")
    parts.immediate = _immediate_size(form, size)
    pos += parts.immediate
    if pos > len(code):
        raise IndexError
    if "is4" in form.attributes and code[pos - 1] & 15:
        raise Refusal(Rule.ENCODING, "bits of an immediate without effect")
    parts.length = pos
    return parts


def _address(
    code: bytes, pos: int, modrm: int, rex: int, parts: Encoding
) -> tuple[int, int]:
    """Parses the memory operand; returns its end and the bits of REX in use."""
    mod, rm = modrm >> 6, modrm & 7
    width = (0, 1, 4)[mod]
    used = 0
    if rm == 4:
        sib = code[pos]
        pos += 1
        used = _X
        parts.index = (sib >> 3 & 7) | (rex & _X) << 2
        parts.scale = 1 << (sib >> 6)
        base = sib & 7
        if parts.index == _RSP:
            parts.index = NONE
            if parts.scale != 1:
                raise Refusal(Rule.ENCODING, "scale without an index")
        if base == 5 and mod == 0:
            parts.base, width = NONE, 4
        else:
            parts.base = base | (rex & _B) << 3
            used |= _B
    elif rm == 5 and mod == 0:
        parts.base, width = RIP, 4
    else:
        parts.base = rm | (rex & _B) << 3
        used = _B
    if width:
        raw = code[pos : pos + width]
        if len(raw) != width:
            raise IndexError
        parts.disp = int.from_bytes(raw, "little", signed=True)
        parts.disp_at, parts.disp_size = pos, width
    return pos + width, used


def _may_lock(form: Form, opmap: int, opcode: int) -> bool:
    """Whether a lock is allowed before the form if it has a memory operand."""
    # Bit 1 of these opcodes is set if the register is the destination.
    to_register = opmap == 0 and opcode < _NEXT_AFTER_ALU and bool(opcode & 2)
    return form.names[0] in _LOCKABLE and not to_register


def _choose(forms: tuple[Form, ...], modrm: int, head: Prefixes) -> Form:
    """The one form that ModRM, REX and L select."""
    mod3 = modrm >= 0xC0
    for form in forms:
        has = form.attributes
        if (
            (form.extension < 0 or form.extension == modrm >> 3 & 7)
            and not ("mem" in has and mod3)
            and not ("reg" in has and not mod3)
            and not ("w1" in has and not head.rex & _W)
            and not ("w0" in has and head.rex & _W)
            and not ("b1" in has and not head.rex & _B)
            and not ("b0" in has and head.rex & _B)
            and (form.rm < 0 or form.rm == modrm & 7)
            and (
                not form.lengths or _vector_length(form, head, not mod3) in form.lengths
            )
        ):
            return form
    raise Refusal(Rule.ENCODING, "not on the allow-list in this form")


def _vector_length(form: Form, head: Prefixes, memory: bool) -> int:
    """0, 1 or 2 for 128, 256 or 512 bits."""
    has = form.attributes
    if (
        head.family == EVEX
        and head.extra
        and not memory
        and ("er" in has or "sae" in has)
    ):
        # L is a rounding mode, or ignored, and the length is the longest.
        return 0 if "lig" in has else 2
    return head.length


def _check_vector_bits(form: Form, head: Prefixes, parts: Encoding) -> None:
    """Refuses bits of VEX and EVEX without an effect."""
    has, memory = form.attributes, parts.memory
    if head.vvvv != 0 and "va" not in has:
        # vvvv is stored inverted: 1111b, "no operand", reads as 0 here.
        raise Refusal(Rule.ENCODING, "VEX.vvvv names an operand that is not there")
    if "kv" in has and head.vvvv > 7:
        raise Refusal(Rule.ENCODING, "there are eight mask registers")
    if head.family == VEX:
        return
    if head.high_reg and (form.extension >= 0 or "kr" in has or "gr" in has):
        raise Refusal(Rule.ENCODING, "EVEX.R' without effect")
    if head.mask and "k" not in has:
        raise Refusal(Rule.ENCODING, "EVEX.aaa without effect")
    if head.zeroing and not (
        head.mask and ("z" in has or ("zr" in has and not memory))
    ):
        raise Refusal(Rule.ENCODING, "EVEX.z without effect")
    if head.extra and not (form.broadcast if memory else "er" in has or "sae" in has):
        raise Refusal(Rule.ENCODING, "EVEX.b without effect")
    rounding = head.extra and not memory
    if not rounding and head.length > (0 if "lig" in has else 2):
        raise Refusal(Rule.ENCODING, "EVEX.L'L without effect")
    parts.mask, parts.zeroing = head.mask, head.zeroing


def _check_register_bits(form: Form, head: Prefixes, used: int) -> None:
    """Refuses register bits of REX, VEX and EVEX without an effect."""
    if head.family == LEGACY:
        plain = head.rex & ~used & 15
        byte_operand = "b" in form.attributes or "srcb" in form.attributes
        if plain or (head.rex == 0x40 and not byte_operand):
            raise Refusal(Rule.ENCODING, "REX without effect")
    elif head.rex & ~(used | _W) & 7:
        raise Refusal(Rule.ENCODING, "VEX register bit without effect")


def _check_size_prefixes(form: Form, data16: bool, head: Prefixes) -> None:
    """Allows 66h and REX.W only if they select the operand size."""
    wide = head.rex & _W
    if data16:
        if form.size != "v" or "b" in form.attributes or "no66" in form.attributes:
            raise Refusal(Rule.ENCODING, "66h without effect, or on a branch")
        if wide:
            raise Refusal(Rule.ENCODING, "66h and REX.W together")
    choice = form.size in ("v", "y") and "b" not in form.attributes
    if wide and not (head.family != LEGACY or choice or "w1" in form.attributes):
        raise Refusal(Rule.ENCODING, "REX.W without effect")


def _operand_size(form: Form, data16: bool, rex: int) -> int:
    if "b" in form.attributes:
        return 1
    if form.size == "q" or rex & _W:
        return 8
    return 2 if data16 else 4


def _memory_size(form: Form, head: Prefixes, size: int, length: int) -> int:
    width = form.mem
    if head.extra:
        return form.broadcast
    if width == "":
        if form.size == ".":
            raise Refusal(Rule.ENCODING, "no memory form on the allow-list")
        return size
    if width[0] == "x":
        return (16 << length) // int(width[1:] or "1")
    return int(width)


def _immediate_size(form: Form, size: int) -> int:
    has = form.attributes
    if "ib" in has or "rel8" in has or "is4" in has:
        return 1
    if "rel32" in has:
        return 4
    if "iz" in has:
        return min(size, 4)
    return size if "iv" in has else 0


_TABLE: Final = allowed()
