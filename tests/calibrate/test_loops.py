# SPDX-License-Identifier: GPL-2.0-only
"""The loops as functions, with bodies that leave something to look at."""

from __future__ import annotations

import ctypes

from iced_x86 import Code, Instruction, Register

from ubypass.calibrate.assemble import Assembler, Label, at
from ubypass.calibrate.loops import (
    FREE_LINE,
    LIMIT,
    LINE,
    RING,
    STAMP,
    Body,
    Data,
    aligned,
    assembled,
)
from ubypass.executable import Executable

_LOOP = ctypes.CFUNCTYPE(*[ctypes.c_uint64] * 4)


def _word(address: int) -> int:
    return ctypes.c_uint64.from_address(address).value


def _count(made: Assembler) -> None:
    place = at(Register.R14, FREE_LINE)
    made.put(Instruction.create_mem_reg(Code.ADD_RM64_R64, place, Register.RCX))


def test_so_many_turns() -> None:
    code, starts = assembled([Body("other", lambda made: None), Body("count", _count)])
    data = Data()
    with Executable(code) as mapped:
        loop = _LOOP(mapped.address + starts["count"])
        ticks = loop(3, 40, data.address)
        assert _word(data.address + FREE_LINE) == 43
        assert 0 < ticks < 1 << 40
        loop(1, 1, data.address)
        assert _word(data.address + FREE_LINE) == 45


def test_what_turns_find_in_registers() -> None:
    """Limit, data and one; and the caller's registers are as they were."""

    def turn(made: Assembler) -> None:
        load = Instruction.create_reg_mem(Code.MOV_R64_RM64, Register.RAX, LIMIT)
        registers = (Register.RAX, Register.R15, Register.RCX)
        made.put(load)
        for number, register in enumerate(registers):
            place = at(Register.R14, FREE_LINE + 8 * number)
            made.put(Instruction.create_mem_reg(Code.MOV_RM64_R64, place, register))

    code, starts = assembled([Body("words", turn)])
    data = Data()
    with Executable(code) as mapped:
        _LOOP(mapped.address + starts["words"])(1, 1, data.address)
    limit, r15, rcx = (_word(data.address + FREE_LINE + 8 * n) for n in range(3))
    assert data.address < limit < 1 << 47
    assert (r15, rcx) == (data.address, 1)


def test_functions_come_along() -> None:
    function = Label()

    def functions(made: Assembler) -> None:
        aligned(made, function)
        _count(made)
        made.put(Instruction.create(Code.RETNQ))

    body = Body("call", lambda m: m.branch(Code.CALL_REL32_64, function), functions)
    code, starts = assembled([body])
    assert all(start % LINE == 0 for start in starts.values())
    data = Data()
    with Executable(code) as mapped:
        _LOOP(mapped.address + starts["call"])(1, 9, data.address)
    assert _word(data.address + FREE_LINE) == 10


def test_the_counter_goes_on() -> None:
    code, starts = assembled([])
    assert set(starts) == {STAMP}
    with Executable(code) as mapped:
        stamp = ctypes.CFUNCTYPE(ctypes.c_uint64)(mapped.address + starts[STAMP])
        first = stamp()
        assert stamp() >= first > 0


def test_the_ring() -> None:
    data = Data()
    assert data.address % LINE == 0
    seen = []
    here = data.address
    for _ in range(RING):
        seen.append(here)
        here = _word(here)
    assert here == data.address
    assert seen == [data.address + n * LINE for n in range(RING)]
    assert _word(data.address + FREE_LINE) == 0
