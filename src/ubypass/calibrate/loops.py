# SPDX-License-Identifier: GPL-2.0-only
"""Machine code that times loop bodies, assembled in one piece.

Each body is in a loop of its own, in a function ``uint64_t f(uint64_t before,
uint64_t turns, void *data)``: the loop runs ``before`` turns, then ``turns`` turns, and
the function returns the duration of the latter in ticks of the time stamp counter.
Neither number may be 0; ``data`` is the address of a :class:`Data`. Fences separate the
reads of the counter from the measured code. Independent of the order and number of
measurements.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from iced_x86 import Code, Instruction, Register

from ubypass.calibrate.assemble import Assembler, Label, at

if TYPE_CHECKING:
    from iced_x86._iced_x86_py import Register as IcedRegister

__all__ = [
    "FREE_LINE",
    "LIMIT",
    "LINE",
    "RING",
    "STAMP",
    "Body",
    "Data",
    "aligned",
    "assembled",
]

#: Name of the function without a loop: ``uint64_t f(void)``, the time stamp counter.
STAMP = "stamp"

#: Bytes of a cache line.
LINE = 64
#: Lines of the ring in :class:`Data`; free lines follow.
RING = 32
#: Offset of the first free line from the start of the data.
FREE_LINE = RING * LINE
_FREE = 32

# The limit with 4-level page tables, above any address of the data.
_LIMIT = 0x7FFF_FFFF_F000
#: The word at rsp that holds the limit of clamps.
LIMIT = at(Register.RSP, 8)

_SAVED = (
    *(Register.RBX, Register.RBP, Register.R12),
    *(Register.R13, Register.R14, Register.R15),
)


@dataclass(frozen=True, slots=True)
class Body:
    """A loop body: ``turn`` assembles one turn, ``functions`` the functions it calls.

    A turn may change rax, rdx, rsi, rdi, r8 to r11, and r15, which initially holds
    ``data``; r14 always holds ``data``. rcx is 1 until a system call changes it. The
    first word at rsp is free, the second is the limit of clamps.
    """

    name: str
    turn: Callable[[Assembler], None]
    functions: Callable[[Assembler], None] = lambda made: None


class Data:
    """Memory for bodies, from ``address`` on: a ring of ``RING`` cache lines, each of
    which begins with the address of the next one; free lines follow.
    """

    def __init__(self) -> None:
        self._words = (ctypes.c_uint64 * ((RING + _FREE + 1) * LINE // 8))()
        start = ctypes.addressof(self._words)
        self.address = (start + LINE - 1) // LINE * LINE
        first = (self.address - start) // 8
        for line in range(RING):
            after = self.address + (line + 1) % RING * LINE
            self._words[first + line * LINE // 8] = after


def assembled(which: Iterable[Body]) -> tuple[bytes, dict[str, int]]:
    """The code of all bodies, and the offset of each function by name."""
    made = Assembler()
    starts = {body.name: _function(made, body) for body in which}
    stamp = starts[STAMP] = Label()
    aligned(made, stamp)
    _read_counter(made)
    made.put(Instruction.create(Code.RETNQ))
    code = made.finish()
    return code, {name: made.offset(label) for name, label in starts.items()}


def _function(made: Assembler, body: Body) -> Label:
    start, again, done = Label(), Label(), Label()
    aligned(made, start)
    made.put(*(Instruction.create_reg(Code.PUSH_R64, saved) for saved in _SAVED))
    made.put(
        Instruction.create_reg_u64(Code.MOV_R64_IMM64, Register.RAX, _LIMIT),
        Instruction.create_reg(Code.PUSH_R64, Register.RAX),
        Instruction.create_reg(Code.PUSH_R64, Register.RAX),
        _move(Register.RBX, Register.RDI),
        _move(Register.R12, Register.RSI),
        Instruction.create_reg_reg(Code.XOR_R32_RM32, Register.R13D, Register.R13D),
        _move(Register.R14, Register.RDX),
        _move(Register.R15, Register.RDX),
        Instruction.create_reg_i32(Code.MOV_R32_IMM32, Register.ECX, 1),
    )
    made.align(LINE, executed=True)
    made.bind(again)
    body.turn(made)
    made.put(Instruction.create_reg(Code.DEC_RM64, Register.RBX))
    made.branch(Code.JNE_REL32_64, again)
    _read_counter(made)
    made.put(Instruction.create_reg_reg(Code.TEST_RM64_R64, Register.R12, Register.R12))
    made.branch(Code.JE_REL32_64, done)
    made.put(
        _move(Register.R13, Register.RAX),
        _move(Register.RBX, Register.R12),
        Instruction.create_reg_reg(Code.XOR_R32_RM32, Register.R12D, Register.R12D),
    )
    made.branch(Code.JMP_REL32_64, again)
    made.bind(done)
    made.put(
        Instruction.create_reg_reg(Code.SUB_R64_RM64, Register.RAX, Register.R13),
        Instruction.create_reg_i32(Code.ADD_RM64_IMM8, Register.RSP, 16),
        *(Instruction.create_reg(Code.POP_R64, saved) for saved in reversed(_SAVED)),
        Instruction.create(Code.RETNQ),
    )
    body.functions(made)
    return start


def aligned(made: Assembler, label: Label) -> None:
    """Define ``label`` at the start of the next cache line."""
    made.align(LINE)
    made.bind(label)


def _read_counter(made: Assembler) -> None:
    """rax = ticks, after all earlier and before all later instructions."""
    made.put(
        Instruction.create(Code.LFENCE),
        Instruction.create(Code.RDTSC),
        Instruction.create(Code.LFENCE),
        Instruction.create_reg_i32(Code.SHL_RM64_IMM8, Register.RDX, 32),
        Instruction.create_reg_reg(Code.OR_R64_RM64, Register.RAX, Register.RDX),
    )


def _move(to: IcedRegister, source: IcedRegister) -> Instruction:
    return Instruction.create_reg_reg(Code.MOV_R64_RM64, to, source)
