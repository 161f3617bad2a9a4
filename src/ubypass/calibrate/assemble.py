# SPDX-License-Identifier: GPL-2.0-only
"""An assembler: machine code from instructions and labels, whatever their purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iced_x86 import Code, Encoder, Instruction, MemoryOperand, Register

if TYPE_CHECKING:
    from iced_x86._iced_x86_py import Code as IcedCode
    from iced_x86._iced_x86_py import Register as IcedRegister

__all__ = ["Assembler", "Label", "at"]

_FIELD = 4
_INT3 = b"\xcc"
_NOP = b"\x90"


class Label:
    """A position in the code; compared by identity."""

    __slots__ = ()


def at(base: IcedRegister, displacement: int = 0) -> MemoryOperand:
    """[base + displacement]"""
    return MemoryOperand(
        base=base, displ=displacement, displ_size=1 if displacement else 0
    )


class Assembler:
    """Position-independent code, assembled from start to end.

    All branches have displacements of 32 bits, so that no instruction moves later.
    """

    def __init__(self) -> None:
        self._encoder = Encoder(64)
        self._code = bytearray()
        self._places: dict[Label, int] = {}
        self._open: list[tuple[int, Label]] = []

    def put(self, *instructions: Instruction) -> None:
        """Append instructions."""
        for instruction in instructions:
            self._encoder.encode(instruction, len(self._code))
            self._code += self._encoder.take_buffer()

    def branch(self, code: IcedCode, label: Label) -> None:
        """A jump or call with a displacement of 32 bits."""
        self.put(Instruction.create_branch(code, len(self._code)))
        self._open.append((len(self._code), label))

    def address(self, register: IcedRegister, label: Label) -> None:
        """lea register, [rip + label]"""
        here = MemoryOperand(base=Register.RIP, displ=len(self._code), displ_size=8)
        self.put(Instruction.create_reg_mem(Code.LEA_R64_M, register, here))
        self._open.append((len(self._code), label))

    def bind(self, label: Label) -> None:
        """Define ``label`` at the present position."""
        self._places[label] = len(self._code)

    def align(self, size: int, *, executed: bool = False) -> None:
        """Pad to a multiple of ``size``; ``executed``: with nop instead of int3."""
        padding = -len(self._code) % size
        self._code += (_NOP if executed else _INT3) * padding

    def offset(self, label: Label) -> int:
        """The offset of ``label`` from the start. Raises KeyError if undefined."""
        return self._places[label]

    def finish(self) -> bytes:
        """The code, with all labels resolved. Raises KeyError for undefined labels."""
        for end, label in self._open:
            distance = self._places[label] - end
            field = distance.to_bytes(_FIELD, "little", signed=True)
            self._code[end - _FIELD : end] = field
        self._open.clear()
        return bytes(self._code)
