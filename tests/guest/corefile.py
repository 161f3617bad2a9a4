# SPDX-License-Identifier: GPL-2.0-only
"""What a core file says: registers of the thread that died, and memory."""

from __future__ import annotations

import struct
from pathlib import Path

__all__ = ["REGISTERS", "Core"]

#: In the order of ``struct user_regs_struct``.
REGISTERS = (
    *("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax"),
    *("rcx", "rdx", "rsi", "rdi", "orig_rax", "rip", "cs", "eflags", "rsp", "ss"),
    *("fs_base", "gs_base", "ds", "es", "fs", "gs"),
)

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_NOTE = struct.Struct("<III")
_LOAD, _NOTES = 1, 4
_PRSTATUS, _FPREGSET = 1, 2
_REGISTERS_AT = 112  # in struct elf_prstatus


class Core:
    """A core file of an x86-64 process."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        header = _HEADER.unpack_from(data)
        at, size, count = header[5], header[9], header[10]
        segments = [_SEGMENT.unpack_from(data, at + i * size) for i in range(count)]
        self._loads = [s for s in segments if s[0] == _LOAD]
        self._notes: dict[int, bytes] = {}
        for segment in segments:
            if segment[0] == _NOTES:
                self._read_notes(segment[2], segment[2] + segment[5])

    @classmethod
    def read(cls, path: Path) -> Core:
        return cls(path.read_bytes())

    def _read_notes(self, at: int, end: int) -> None:
        """The first one of each kind is of the thread that died."""
        while at < end:
            name, size, kind = _NOTE.unpack_from(self._data, at)
            at += _NOTE.size + _aligned(name)
            self._notes.setdefault(kind, self._data[at : at + size])
            at += _aligned(size)

    @property
    def registers(self) -> dict[str, int]:
        """By name."""
        layout = f"<{len(REGISTERS)}Q"
        values = struct.unpack_from(layout, self._notes[_PRSTATUS], _REGISTERS_AT)
        return dict(zip(REGISTERS, values, strict=True))

    @property
    def vectors(self) -> bytes:
        """x87 and SSE registers, as ``fxsave`` stores them."""
        return self._notes[_FPREGSET]

    def memory(self, address: int, size: int) -> bytes:
        """What was there. Raises LookupError if the file does not have it."""
        for _, _, offset, start, _, length, _, _ in self._loads:
            if start <= address and address + size <= start + length:
                begin = offset + address - start
                return self._data[begin : begin + size]
        raise LookupError(f"{address:#x} is not in the core")


def _aligned(size: int) -> int:
    return (size + 3) & ~3
