# SPDX-License-Identifier: GPL-2.0-only
"""A buffer of generated code, with its fixups.

One method for each form of instruction that the translator adds; user instructions are
added by :meth:`Buffer.user`. Depends on encodings only, not on why code is emitted.
"""

from __future__ import annotations

import struct
from typing import Final

from iced_x86 import Encoder, Instruction

from ubypass.abi import (
    FRAME_BUDGET,
    FRAME_EXIT,
    FRAME_LIMIT,
    FRAME_TMP0,
)
from ubypass.translate.invariant import require
from ubypass.translate.labels import Constant, ExitKey, Label, Place
from ubypass.translate.registers import number

__all__ = ["CC_A", "CC_E", "CC_NE", "CC_S", "Buffer", "encoded"]

_RAX: Final = 0
_RSP: Final = 4
_encoder = Encoder(64)

#: Condition codes as in Jcc.
CC_E: Final = 4
CC_NE: Final = 5
CC_A: Final = 7
CC_S: Final = 8


def encoded(instruction: Instruction) -> bytes:
    """The bytes of ``instruction``. Raises ValueError if it has no encoding."""
    try:
        _encoder.encode(instruction, 0)
    except ValueError as error:
        # Discard bytes that were written before the error.
        _encoder.take_buffer()
        if "AH, CH, DH" in str(error):
            raise ValueError("a high byte beside a register that needs REX") from error
        raise
    code: bytes = _encoder.take_buffer()
    return code


_INT3: Final = b"\xcc"
_REL32: Final = struct.Struct("<i")
# mov dword [rsp], imm32
_EXIT_NUMBER: Final = b"\xc7\x04\x24"
require(FRAME_EXIT == 0, "the slot EXIT has a displacement")


class Buffer:
    """Code under construction.

    ``fixups`` are (offset of a rel32 field, its target); each field is the last of its
    instruction. ``faults`` are (offset of an instruction, its exit). ``labels`` are
    places in this buffer, ``marks`` alternate offsets and user addresses, and
    ``dispatches`` are (offset, nr, exit before, exit after). ``written`` has a bit for
    each host register that this code has written since the bit was cleared.
    """

    def __init__(self) -> None:
        self.code = bytearray()
        self.fixups: list[tuple[int, Place]] = []
        self.faults: list[tuple[int, ExitKey]] = []
        self.labels: list[tuple[int, Label]] = []
        self.marks: list[int] = []
        self.dispatches: list[tuple[int, int, ExitKey, ExitKey]] = []
        self.written = 0

    def append(self, other: Buffer) -> None:
        """Append the code, labels and fixups of ``other``."""
        base = len(self.code)
        self.code += other.code
        # Most are empty.
        if other.fixups:
            self.fixups += [(base + at, place) for at, place in other.fixups]
        if other.faults:
            self.faults += [(base + at, key) for at, key in other.faults]
        if other.labels:
            self.labels += [(base + at, label) for at, label in other.labels]
        if other.marks:
            marks, there = self.marks, other.marks
            for number in range(0, len(there), 2):
                marks.append(base + there[number])
                marks.append(there[number + 1])
        if other.dispatches:
            self.dispatches += [(base + d[0], *d[1:]) for d in other.dispatches]

    def bind(self, label: Label) -> None:
        """Bind ``label`` to the current offset."""
        self.labels.append((len(self.code), label))

    def mark(self, user_ip: int) -> None:
        """The following code belongs to the user instruction at ``user_ip``."""
        self.marks.append(len(self.code))
        self.marks.append(user_ip)

    def fault(self, key: ExitKey) -> None:
        """The next instruction may fault; then it continues at the exit ``key``."""
        self.faults.append((len(self.code), key))

    def raw(self, code: bytes) -> None:
        """Append assembled instructions unchanged."""
        self.code += code

    def note_write(self, reg: int) -> None:
        """Code that was or will be appended by :meth:`raw` writes ``reg``."""
        self.written |= 1 << reg

    def forget_write(self, reg: int) -> None:
        """From here on only later writes of ``reg`` count."""
        self.written &= ~(1 << reg)

    def dispatch(self, nr: int, before: ExitKey, after: ExitKey, room: int) -> None:
        """Reserve ``room`` bytes for the dispatch of call ``nr``."""
        self.dispatches.append((len(self.code), nr, before, after))
        self.code += _INT3 * room

    def retarget(self, number: int, place: Place) -> None:
        """The fixup ``number`` leads to ``place``."""
        self.fixups[number] = self.fixups[number][0], place

    def link(self, at: int, goal: int) -> None:
        """Let the rel32 field at offset ``at`` lead to offset ``goal``."""
        _REL32.pack_into(self.code, at, goal - at - 4)

    def align(self, size: int) -> None:
        """Pad to a multiple of ``size`` bytes."""
        self.code += _INT3 * (-len(self.code) % size)

    def constant(self, value: int) -> int:
        """Eight bytes of data; returns their offset."""
        at = len(self.code)
        self.code += value.to_bytes(8, "little")
        return at

    def user(self, instruction: Instruction) -> None:
        """Append an edited user instruction; ValueError if it has no encoding."""
        self.code += encoded(instruction)
        register = number(instruction.op0_register)
        if register is not None:
            self.written |= 1 << register

    # -- moves -------------------------------------------------------------

    def load(self, reg: int, base: int, disp: int) -> None:
        """mov reg, [base + disp]"""
        self.written |= 1 << reg
        self._memory(b"\x8b", reg, base, disp)

    def store(self, base: int, disp: int, reg: int) -> None:
        """mov [base + disp], reg"""
        self._memory(b"\x89", reg, base, disp)

    def store_imm(self, base: int, disp: int, value: int) -> None:
        """mov qword [base + disp], imm32 (sign-extended)"""
        self._memory(b"\xc7", 0, base, disp)
        self.code += value.to_bytes(4, "little", signed=True)

    def lea(self, reg: int, base: int, disp: int) -> None:
        """lea reg, [base + disp]"""
        self.written |= 1 << reg
        self._memory(b"\x8d", reg, base, disp)

    def lea32(self, reg: int, base: int, disp: int) -> None:
        """lea reg (32 bits), [base + disp]"""
        self.written |= 1 << reg
        self._memory(b"\x8d", reg, base, disp, wide=False)

    def add_up(self, reg: int, other: int) -> None:
        """lea reg, [reg + other]"""
        self.written |= 1 << reg
        rex = 0x48 | (reg >> 3) * 5 | (other >> 3) << 1
        low = reg & 7
        self.code += bytes((rex, 0x8D, 0x44 | low << 3, (other & 7) << 3 | low, 0))

    def exchange(self, reg: int, other: int) -> None:
        """xchg reg, other"""
        self.written |= 1 << reg | 1 << other
        rex = 0x48 | (reg >> 3) << 2 | other >> 3
        self.code += bytes((rex, 0x87, 0xC0 | (reg & 7) << 3 | other & 7))

    def move(self, to: int, source: int) -> None:
        """mov to, source"""
        self.written |= 1 << to
        self.code += _MOVES[source << 4 | to]

    def move_imm(self, reg: int, value: int) -> None:
        """mov reg, value (64 bits), in the shortest form"""
        self.written |= 1 << reg
        value &= (1 << 64) - 1
        if value < 1 << 32:
            if reg > 7:
                self.code.append(0x41)
            self.code.append(0xB8 | reg & 7)
            self.code += value.to_bytes(4, "little")
        else:
            self.code += bytes((0x48 | reg >> 3, 0xB8 | reg & 7))
            self.code += value.to_bytes(8, "little")

    def store_half(self, offset: int, value: int) -> None:
        """mov dword [rsp + offset], value"""
        self._memory(b"\xc7", 0, _RSP, offset, wide=False)
        self.code += value.to_bytes(4, "little")

    # -- the frame ---------------------------------------------------------

    def frame_load(self, reg: int, offset: int) -> None:
        """mov reg, [rsp + offset]"""
        self.written |= 1 << reg
        self._frame(0x8B, reg, offset)

    def frame_load32(self, reg: int, offset: int) -> None:
        """mov reg (32 bits), [rsp + offset]"""
        self.written |= 1 << reg
        self._memory(b"\x8b", reg, _RSP, offset, wide=False)

    def frame_store(self, offset: int, reg: int) -> None:
        """mov [rsp + offset], reg"""
        self._frame(0x89, reg, offset)

    def frame_add(self, reg: int, offset: int) -> None:
        """add reg, [rsp + offset]"""
        self.written |= 1 << reg
        self._memory(b"\x03", reg, _RSP, offset)

    def cmp_limit(self, reg: int) -> None:
        """cmp reg, [rsp + LIMIT]"""
        self.code += _CMP_LIMIT[reg]

    def cmovae_limit(self, reg: int) -> None:
        """cmovae reg, [rsp + LIMIT]

        An address equal to LIMIT is replaced by itself. cmova reads two flags and would
        add a cycle of latency to every address.
        """
        self.written |= 1 << reg
        self.code += _CMOVAE_LIMIT[reg]

    def save_flags(self, slot: int) -> None:
        """pushfq; pop [rsp + slot]"""
        self.code.append(0x9C)
        self._memory(b"\x8f", 0, _RSP, slot, wide=False)

    def restore_flags(self, slot: int) -> None:
        """push [rsp + slot]; popfq"""
        self._memory(b"\xff", 6, _RSP, slot, wide=False)
        self.code.append(0x9D)

    def store_flags(self) -> None:
        """lahf; seto al; mov [rsp + TMP0], rax"""
        self.code += b"\x9f\x0f\x90\xc0"
        self.frame_store(FRAME_TMP0, _RAX)

    def load_flags(self, scratch: int) -> None:
        """mov rax, [rsp + TMP0]; add al, 0x7f; sahf

        Around it ``scratch``, a host register, keeps rax, unless it is negative.
        """
        if scratch >= 0:
            self.move(scratch, _RAX)
        self.frame_load(_RAX, FRAME_TMP0)
        # The addition overflows if al is 1; sahf does not change OF.
        self.code += b"\x04\x7f\x9e"
        if scratch >= 0:
            self.move(_RAX, scratch)

    def charge(self, amount: int) -> None:
        """sub dword [rsp + BUDGET], amount"""
        if amount < 128:
            self._memory(b"\x83", 5, _RSP, FRAME_BUDGET, wide=False)
            self.code.append(amount)
        else:
            self._memory(b"\x81", 5, _RSP, FRAME_BUDGET, wide=False)
            self.code += amount.to_bytes(4, "little")

    def charge_count(self) -> None:
        """sub dword [rsp + BUDGET], ecx"""
        self._memory(b"\x29", 1, _RSP, FRAME_BUDGET, wide=False)

    def exit_number(self, exit_number: int) -> None:
        """mov dword [rsp + EXIT], number"""
        self.code += _EXIT_NUMBER
        self.code += exit_number.to_bytes(4, "little")

    # -- compare and branch --------------------------------------------------

    def cmp_memory(self, reg: int, base: int, disp: int) -> None:
        """cmp reg, [base + disp]"""
        self._memory(b"\x3b", reg, base, disp)

    def cmp_imm32(self, reg: int, value: int) -> None:
        """cmp reg (32 bits), imm32"""
        self._with_imm32(0xF8, reg, value)

    def cmp_constant(self, reg: int, value: int) -> None:
        """cmp reg, value; a constant behind the code when it is a long one"""
        if value < 1 << 31:
            self.code += bytes((0x48 | reg >> 3, 0x81, 0xF8 | reg & 7))
            self.code += value.to_bytes(4, "little")
            return
        self.code += bytes((0x48 | (reg >> 3) << 2, 0x3B, 0x05 | (reg & 7) << 3))
        self._field(Constant(value))

    def and_imm32(self, reg: int, value: int) -> None:
        """and reg (32 bits), imm32"""
        self.written |= 1 << reg
        self._with_imm32(0xE0, reg, value)

    def or_imm32(self, reg: int, value: int) -> None:
        """or reg (32 bits), imm32"""
        self.written |= 1 << reg
        self._with_imm32(0xC8, reg, value)

    def arithmetic_flags(self, image: int, scratch: int) -> None:
        """Set the arithmetic flags from the low bits of rax; changes rax.

        ``image`` and ``scratch`` are host registers; ``image`` must be rax.
        """
        require(image == 0, "lahf and sahf work on rax only")
        self.move(scratch, image)
        self.written |= 1 << image
        # OF is bit 11; adding up to 2**31 overflows if it is set.
        self.and_imm32(scratch, 0x800)
        self._with_imm32(0xC0, scratch, 0x7FFFF800)  # add scratch, imm32
        self.code += b"\x88\xc4"  # mov ah, al
        self.code += b"\x9e"  # sahf

    def jmp(self, place: Place) -> None:
        """jmp place"""
        self.code.append(0xE9)
        self._field(place)

    def jmp_if_rcx(self, place: Place) -> None:
        """jrcxz over it; jmp place"""
        self.code += b"\xe3\x05"
        self.jmp(place)

    def jcc(self, condition: int, place: Place) -> None:
        """jcc place"""
        self.code += _BRANCHES[condition]
        self._field(place)

    def jmp_open(self) -> int:
        """jmp to the module's exit path; returns the offset of its rel32"""
        self.code += b"\xe9\0\0\0\0"
        return len(self.code) - 4

    def _with_imm32(self, operation: int, reg: int, value: int) -> None:
        if reg > 7:
            self.code.append(0x41)
        self.code += bytes((0x81, operation | reg & 7))
        self.code += (value & 0xFFFFFFFF).to_bytes(4, "little")

    def _field(self, place: Place) -> None:
        self.fixups.append((len(self.code), place))
        self.code += b"\0\0\0\0"

    def _frame(self, opcode: int, reg: int, offset: int) -> None:
        """``opcode`` with a register and [rsp + offset]."""
        key = offset << 12 | reg << 8 | opcode
        made = _FRAMES.get(key)
        if made is None:
            out = Buffer()
            out._memory(bytes((opcode,)), reg, _RSP, offset)
            made = _FRAMES[key] = bytes(out.code)
        self.code += made

    def _memory(
        self, opcode: bytes, reg: int, base: int, disp: int, wide: bool = True
    ) -> None:
        rex = (0x48 if wide else 0x40) | (reg >> 3) << 2 | base >> 3
        if rex != 0x40:
            self.code.append(rex)
        self.code += opcode
        low = base & 7
        if disp == 0 and low != 5:
            mode, tail = 0, b""
        elif -128 <= disp < 128:
            mode, tail = 0x40, disp.to_bytes(1, "little", signed=True)
        else:
            mode, tail = 0x80, disp.to_bytes(4, "little", signed=True)
        self.code.append(mode | (reg & 7) << 3 | low)
        if low == 4:
            self.code.append(0x24)
        self.code += tail


def _with_limit(opcode: bytes) -> list[bytes]:
    """By register: the instruction with the register and [rsp + LIMIT]."""
    found = []
    for reg in range(16):
        out = Buffer()
        out._memory(opcode, reg, _RSP, FRAME_LIMIT)
        found.append(bytes(out.code))
    return found


# The most frequent instructions, assembled once: assembling takes longer than
# appending.
_CMP_LIMIT: Final = _with_limit(b"\x3b")
_CMOVAE_LIMIT: Final = _with_limit(b"\x0f\x43")
_MOVES: Final = [
    bytes(
        (0x48 | (source >> 3) << 2 | to >> 3, 0x89, 0xC0 | (source & 7) << 3 | to & 7)
    )
    for source in range(16)
    for to in range(16)
]
_BRANCHES: Final = [bytes((0x0F, 0x80 | condition)) for condition in range(16)]
_FRAMES: Final[dict[int, bytes]] = {}
