# SPDX-License-Identifier: GPL-2.0-only
"""What capstone says of one instruction.

Its Python objects take longer to make than all else that is done with an instruction
that has not been seen before, so its structures are read where it writes them. Knows
their layout from capstone's own declarations, and nothing of what is in them.
"""

from __future__ import annotations

import ctypes
import struct
from typing import Any, Final

import capstone
from capstone import x86 as declared

_REGISTERS = 64  # what cs_regs_access has room for, of each kind
_HEADER: Final = struct.Struct("<I4xQH")
_OPERAND: Final = struct.Struct("<I4xIIIiqB")
_IMMEDIATE: Final = struct.Struct("<q")
_FLAGS: Final = struct.Struct("<Q")
_POINTER: Final = struct.Struct("<Q")
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
_DETAIL_AT: Final[int] = _INSN.detail.offset
_INSN_SIZE: Final[int] = ctypes.sizeof(_INSN)
_X86_AT: Final[int] = capstone._cs_detail.arch.offset
_X86_SIZE: Final[int] = ctypes.sizeof(_X86)


def _as_declared() -> bool:
    """Whether what is unpacked here is where capstone's declarations say it is."""
    memory: Any = declared.X86OpMem
    parts = [getattr(memory, n).offset for n in ("segment", "base", "index", "scale")]
    return (
        [_INSN.id.offset, _INSN.address.offset, _INSN.size.offset] == [0, 8, 16]
        and [_OP.type.offset, _VALUE_AT, _OP.size.offset] == [0, 8, 32]
        and [*parts, memory.disp.offset] == [0, 4, 8, 12, 16]
    )


class Operand:
    """An operand; ``reg``, ``imm``, or the rest as ``mem``, as ``type`` says."""

    __slots__ = (
        *("avx_zero_opmask", "base", "disp", "imm", "index", "reg"),
        *("scale", "segment", "size", "type"),
    )

    def __init__(self, memory: bytes, at: int) -> None:
        kind, first, base, index, scale, disp, size = _OPERAND.unpack_from(memory, at)
        self.type: int = kind
        self.reg: int = first
        self.imm: int = _IMMEDIATE.unpack_from(memory, at + _VALUE_AT)[0]
        self.segment: int = first
        self.base: int = base
        self.index: int = index
        self.scale: int = scale
        self.disp: int = disp
        self.size: int = size
        self.avx_zero_opmask: bool = memory[at + _ZEROING_AT] != 0

    @property
    def mem(self) -> Operand:
        """The parts of an address."""
        return self


class Decoded:
    """One instruction. ``mnemonic`` may have a predicate in it, ``name`` has none."""

    def __init__(
        self,
        size: int,
        name: str,
        mnemonic: str,
        eflags: int,
        operands: list[Operand],
        read: list[int],
        written: list[int],
    ) -> None:
        self.size = size
        self.name = name
        self.mnemonic = mnemonic
        self.eflags = eflags
        self.operands = operands
        self.read = read
        self.written = written


class Engine:
    """Capstone, set up to tell all it knows; ``plain`` is its own interface."""

    def __init__(self) -> None:
        if struct.calcsize("P") != 8 or not _as_declared():
            raise RuntimeError("this version of capstone is laid out in another way")
        self.plain: Any = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
        self.plain.detail = True
        library: Any = capstone._cs
        self._handle: Any = self.plain.csh
        self._disassemble: Any = library.cs_disasm
        self._access: Any = library.cs_regs_access
        self._free: Any = library.cs_free
        self._found: Any = ctypes.POINTER(_INSN)()
        self._read: Any = (ctypes.c_uint16 * _REGISTERS)()
        self._written: Any = (ctypes.c_uint16 * _REGISTERS)()
        self._reads, self._writes = ctypes.c_uint8(), ctypes.c_uint8()
        self._names: dict[int, str] = {}

    def decode(self, raw: bytes) -> Decoded | None:
        """The instruction that ``raw`` begins with."""
        found = self._found
        if not self._disassemble(
            self._handle, raw, len(raw), 0, 1, ctypes.byref(found)
        ):
            return None
        try:
            return self._decoded(found)
        finally:
            self._free(found, 1)

    def _decoded(self, found: Any) -> Decoded:
        insn = ctypes.string_at(found, _INSN_SIZE)
        number, _, size = _HEADER.unpack_from(insn)
        (detail,) = _POINTER.unpack_from(insn, _DETAIL_AT)
        x86 = ctypes.string_at(detail + _X86_AT, _X86_SIZE)
        status = self._access(
            self._handle,
            found,
            ctypes.byref(self._read),
            ctypes.byref(self._reads),
            ctypes.byref(self._written),
            ctypes.byref(self._writes),
        )
        if status != capstone.CS_ERR_OK:
            raise capstone.CsError(status)
        mnemonic = insn[_MNEMONIC_AT : insn.index(0, _MNEMONIC_AT)]
        return Decoded(
            size,
            self._name(number),
            mnemonic.decode(),
            _FLAGS.unpack_from(x86, _FLAGS_AT)[0],
            [Operand(x86, _OPERANDS_AT + _OP_SIZE * n) for n in range(x86[_COUNT_AT])],
            self._read[: self._reads.value],
            self._written[: self._writes.value],
        )

    def _name(self, number: int) -> str:
        name = self._names.get(number)
        if name is None:
            found = capstone._cs.cs_insn_name(self._handle, number)
            name = self._names[number] = found.decode()
        return name
