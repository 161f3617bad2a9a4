# SPDX-License-Identifier: GPL-2.0-only
"""Loop bodies without system calls: additions, returns, loads, clamps."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from iced_x86 import Code, Instruction, Register

from ubypass.calibrate.assemble import Assembler, Label, at
from ubypass.calibrate.loops import FREE_LINE, LIMIT, LINE, RING, Body, aligned

if TYPE_CHECKING:
    from iced_x86._iced_x86_py import Register as IcedRegister

__all__ = [
    "ADDITIONS",
    "ADDS",
    "CALLS",
    "LOADS",
    "additions",
    "adds",
    "calls",
    "chase",
    "loads",
    "nothing",
    "own_return",
]

#: Operations in a turn of :func:`additions`, :func:`adds`, :func:`calls`, and of
#: :func:`loads` and :func:`chase`.
ADDITIONS = 100
ADDS = 8
CALLS = 8
LOADS = RING


def nothing() -> Body:
    """An empty body: the loop alone."""
    return Body("nothing", lambda made: None)


def additions() -> Body:
    """Dependent additions. They add a register: additions of a constant take no time on
    some CPUs.
    """

    def turn(made: Assembler) -> None:
        add = Instruction.create_reg_reg(Code.ADD_R64_RM64, Register.RAX, Register.RCX)
        made.put(*[add] * ADDITIONS)

    return Body("additions", turn)


def calls() -> Body:
    """Calls of a function that returns at once."""
    function = Label()

    def turn(made: Assembler) -> None:
        for _ in range(CALLS):
            made.branch(Code.CALL_REL32_64, function)

    def functions(made: Assembler) -> None:
        aligned(made, function)
        made.put(Instruction.create(Code.RETNQ))

    return Body("calls", turn, functions)


def own_return(*, predicted: bool) -> Body:
    """A call of a function that overwrites its return address: with the same one, or
    with another one, which no processor predicts.
    """
    function, back = Label(), Label()

    def turn(made: Assembler) -> None:
        made.address(Register.RAX, back)
        made.branch(Code.CALL_REL32_64, function)
        if not predicted:
            made.put(Instruction.create(Code.UD2))
        made.bind(back)

    def functions(made: Assembler) -> None:
        aligned(made, function)
        made.put(
            Instruction.create_mem_reg(
                Code.MOV_RM64_R64, at(Register.RSP), Register.RAX
            ),
            Instruction.create(Code.RETNQ),
        )

    return Body("return" if predicted else "mispredicted return", turn, functions)


def chase(*, clamped: bool) -> Body:
    """Dependent loads: each uses the address from the previous load."""

    def load(made: Assembler, number: int) -> IcedRegister:
        place = at(Register.R15)
        made.put(Instruction.create_reg_mem(Code.MOV_R64_RM64, Register.R15, place))
        return Register.R15

    return Body("clamped chase" if clamped else "chase", _turn(load, clamped))


def loads(*, clamped: bool) -> Body:
    """Independent loads."""

    def load(made: Assembler, number: int) -> IcedRegister:
        place = at(Register.R14, number * LINE)
        made.put(Instruction.create_reg_mem(Code.MOV_R64_RM64, Register.RAX, place))
        return Register.RAX

    return Body("clamped loads" if clamped else "loads", _turn(load, clamped))


def _turn(
    load: Callable[[Assembler, int], IcedRegister], clamped: bool
) -> Callable[[Assembler], None]:
    """A turn of loads, each with a clamp as in docs/abi.md if ``clamped``."""

    def turn(made: Assembler) -> None:
        out, end = Label(), Label()
        for number in range(LOADS):
            loaded = load(made, number)
            if clamped:
                compare = Instruction.create_reg_mem(Code.CMP_R64_RM64, loaded, LIMIT)
                made.put(compare)
                made.branch(Code.JA_REL32_64, out)
                move = Instruction.create_reg_mem(Code.CMOVAE_R64_RM64, loaded, LIMIT)
                made.put(move)
        made.branch(Code.JMP_REL32_64, end)
        made.bind(out)  # the place of an exit stub, never reached
        made.put(Instruction.create(Code.UD2))
        made.bind(end)

    return turn


def adds(*, locked: bool) -> Body:
    """Additions to one cache line each, so that they are independent."""

    def turn(made: Assembler) -> None:
        for number in range(ADDS):
            place = at(Register.R14, FREE_LINE + number * LINE)
            add = Instruction.create_mem_reg(Code.ADD_RM64_R64, place, Register.RCX)
            add.has_lock_prefix = locked
            made.put(add)

    return Body("locked adds" if locked else "plain adds", turn)
