# SPDX-License-Identifier: GPL-2.0-only
"""Decodes one instruction with capstone.

Making capstone's Python objects takes longer than all other work on a new instruction,
so capstone's structures are read in place. Their layout is taken from capstone's own
declarations; this module must not depend on the meaning of their contents.
"""

from __future__ import annotations

import ctypes
import struct
from typing import Any, Final

import capstone
from capstone import x86 as declared
from capstone import x86_const

__all__ = ["CapstoneDecoder", "Decoded", "Operand"]

_IS_IMMEDIATE: Final[int] = x86_const.X86_OP_IMM
_REGISTERS = 64  # capacity of cs_regs_access, for each kind
_HEADER: Final = struct.Struct("<I4xQH")
_IMMEDIATE: Final = struct.Struct("<q")
_FLAGS: Final = struct.Struct("<Q")
_POINTER: Final = struct.Struct("<Q")
# Pointer to the code, its size, its address.
_WHERE: Final = struct.Struct("<QQQ")
_INSN: Final[Any] = capstone._cs_insn
_X86: Final[Any] = declared.CsX86
_OP: Final[Any] = declared.X86Op
_VALUE_AT: Final[int] = _OP.value.offset
_ZEROING_AT: Final[int] = _OP.avx_zero_opmask.offset
_FLAGS_AT: Final[int] = _X86.flags.offset
_COUNT_AT: Final[int] = _X86.op_count.offset
_OPERANDS_AT: Final[int] = _X86.operands.offset
_OP_SIZE: Final[int] = ctypes.sizeof(_OP)
_MNEMONIC_AT: Final[int] = _INSN.mnemonic.offset
_MNEMONIC_SIZE: Final[int] = _INSN.mnemonic.size
_DETAIL_AT: Final[int] = _INSN.detail.offset
_X86_AT: Final[int] = capstone._cs_detail.arch.offset
_OPERAND: Final = struct.Struct(f"<I4xIIIiqB{_ZEROING_AT - 33}x?")
_LONGEST: Final = 15  # bytes of the longest instruction


def _as_declared() -> bool:
    """Whether the offsets used here match capstone's declarations."""
    memory: Any = declared.X86OpMem
    parts = [getattr(memory, n).offset for n in ("segment", "base", "index", "scale")]
    return (
        [_INSN.id.offset, _INSN.address.offset, _INSN.size.offset] == [0, 8, 16]
        and [_OP.type.offset, _VALUE_AT, _OP.size.offset] == [0, 8, 32]
        and [*parts, memory.disp.offset] == [0, 4, 8, 12, 16]
    )


class Operand:
    """An operand; ``type`` selects ``reg``, ``imm``, or the other fields (``mem``)."""

    __slots__ = (
        *("avx_zero_opmask", "base", "disp", "imm", "index", "reg"),
        *("scale", "segment", "size", "type"),
    )

    def __init__(self, memory: Any, at: int) -> None:
        kind, first, base, index, scale, disp, size, zeroing = _OPERAND.unpack_from(
            memory, at
        )
        self.type: int = kind
        self.reg: int = first
        self.imm: int = 0
        if kind == _IS_IMMEDIATE:
            self.imm = _IMMEDIATE.unpack_from(memory, at + _VALUE_AT)[0]
        self.segment: int = first
        self.base: int = base
        self.index: int = index
        self.scale: int = scale
        self.disp: int = disp
        self.size: int = size
        self.avx_zero_opmask: bool = zeroing

    @property
    def mem(self) -> Operand:
        """The parts of an address."""
        return self


class Decoded:
    """One instruction. ``mnemonic`` may contain a predicate, ``name`` does not; if the
    mnemonic has one, the name may be another instruction's.
    """

    def __init__(
        self,
        size: int,
        name: str,
        spelled: bytes,
        eflags: int,
        operands: list[Operand],
        read: list[int],
        written: list[int],
    ) -> None:
        self.size = size
        self.name = name
        self._spelled = spelled
        self.eflags = eflags
        self.operands = operands
        self.read = read
        self.written = written

    @property
    def mnemonic(self) -> str:
        """The mnemonic as printed by capstone; rarely needed."""
        return self._spelled[: self._spelled.index(0)].decode()


class CapstoneDecoder:
    """Capstone with details enabled; ``plain`` is its standard interface."""

    def __init__(self) -> None:
        if struct.calcsize("P") != 8 or not _as_declared():
            raise RuntimeError("this version of capstone is laid out in another way")
        self.plain: Any = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
        self.plain.detail = True
        self._handle: Any = self.plain.csh
        # A private function object: its setup must not affect other callers.
        self._disassemble: Any = capstone._cs["cs_disasm_iter"]
        self._access: Any = capstone._cs["cs_regs_access"]
        # All buffers and arguments have fixed addresses.
        self._code, at = _memory(_LONGEST)
        self._code_at = at
        self._where, at = _memory(_WHERE.size)
        self._place = [ctypes.c_void_p(at + 8 * number) for number in range(3)]
        self._insn, at = _memory(ctypes.sizeof(_INSN))
        self._found: Any = ctypes.c_void_p(at)
        self._detail, at = _memory(ctypes.sizeof(capstone._cs_detail))
        _POINTER.pack_into(self._insn, _DETAIL_AT, at)
        self._read, at = _memory(2 * _REGISTERS)
        self._read_at: Any = ctypes.c_void_p(at)
        self._written, at = _memory(2 * _REGISTERS)
        self._written_at: Any = ctypes.c_void_p(at)
        self._counts, at = _memory(2)
        self._reads: Any = ctypes.c_void_p(at)
        self._writes: Any = ctypes.c_void_p(at + 1)
        self._read, self._written = self._read.cast("H"), self._written.cast("H")
        self._names: dict[int, str] = {}

    def decode(self, raw: bytes) -> Decoded | None:
        """The instruction at the start of ``raw``; None if there is no valid one."""
        raw = raw[:_LONGEST]
        self._code[: len(raw)] = raw
        _WHERE.pack_into(self._where, 0, self._code_at, len(raw), 0)
        code, size, address = self._place
        if not self._disassemble(self._handle, code, size, address, self._found) & 1:
            return None
        status = self._access(
            self._handle,
            self._found,
            self._read_at,
            self._reads,
            self._written_at,
            self._writes,
        )
        if status != capstone.CS_ERR_OK:
            raise capstone.CsError(status)
        insn, detail = self._insn, self._detail
        number, _, length = _HEADER.unpack_from(insn)
        count = detail[_X86_AT + _COUNT_AT]
        first = _X86_AT + _OPERANDS_AT
        return Decoded(
            length,
            self._name(number),
            bytes(insn[_MNEMONIC_AT : _MNEMONIC_AT + _MNEMONIC_SIZE]),
            _FLAGS.unpack_from(detail, _X86_AT + _FLAGS_AT)[0],
            [Operand(detail, first + _OP_SIZE * n) for n in range(count)],
            self._read[: self._counts[0]].tolist(),
            self._written[: self._counts[1]].tolist(),
        )

    def _name(self, number: int) -> str:
        name = self._names.get(number)
        if name is None:
            found = capstone._cs.cs_insn_name(self._handle, number)
            name = self._names[number] = found.decode()
        return name


def _memory(size: int) -> tuple[Any, int]:
    """A buffer for capstone and its address; it lives as long as the returned view."""
    # With room for fields that another version might append to the declared ones.
    memory = ctypes.create_string_buffer(2 * size + 64)
    return memoryview(memory).cast("B"), ctypes.addressof(memory)
