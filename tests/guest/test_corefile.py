# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import struct

import pytest

from tests.guest.corefile import REGISTERS, Core

_START = 0x5000


def _note(kind: int, content: bytes) -> bytes:
    return struct.pack("<III", 5, len(content), kind) + b"CORE\0\0\0\0" + content


def _core(*threads: int, memory: bytes = b"memory..") -> Core:
    """One whose threads have registers that count from these."""
    notes = b""
    for first in threads:
        values = range(first, first + len(REGISTERS))
        registers = struct.pack(f"<{len(REGISTERS)}Q", *values)
        notes += _note(1, bytes(112) + registers + bytes(8))
        notes += _note(2, bytes([first]) * 512)
    begin = 64 + 2 * 56
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\2\1\1",
        *(4, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0),
    )
    segments = struct.pack("<IIQQQQQQ", 4, 0, begin, 0, 0, len(notes), 0, 4)
    at = begin + len(notes)
    size = len(memory)
    segments += struct.pack("<IIQQQQQQ", 1, 6, at, _START, 0, size, size, 1)
    return Core(header + segments + notes + memory)


def test_registers_of_the_first_thread() -> None:
    core = _core(100, 200)
    registers = core.registers
    assert registers["r15"] == 100
    assert registers["rip"] == 116
    assert registers["gs"] == 126
    assert core.vectors == bytes([100]) * 512


def test_memory() -> None:
    core = _core(1)
    assert core.memory(_START + 1, 3) == b"emo"
    with pytest.raises(LookupError, match="0x5006"):
        core.memory(_START + 6, 3)
