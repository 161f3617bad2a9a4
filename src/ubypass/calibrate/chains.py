# SPDX-License-Identifier: GPL-2.0-only
"""Loops of system calls inside nested functions, as programs make them.

After a system call the program returns through several callers: the wrapper in the C
library and its callers. Kernels overwrite the processor's predictions of those returns,
by the depth of their own calls or on purpose, so that a program pays for more than the
call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from iced_x86 import Code, Instruction, Register

from ubypass.calibrate.assemble import Assembler, Label
from ubypass.calibrate.calls import Call
from ubypass.calibrate.loops import Body, aligned

if TYPE_CHECKING:
    from iced_x86._iced_x86_py import Code as IcedCode
    from iced_x86._iced_x86_py import Register as IcedRegister

__all__ = ["chain"]

_ARGUMENTS = (
    *(Register.RDI, Register.RSI, Register.RDX),
    *(Register.R10, Register.R8, Register.R9),
)


def chain(name: str, call: Call, depth: int, *, made: bool) -> Body:
    """``depth`` nested functions, the innermost of which makes ``call``; at depth 0 the
    loop makes it. Without ``made`` the arguments are set up, but the call is left out.
    """
    functions = [Label() for _ in range(depth)]

    def turn(code: Assembler) -> None:
        if functions:
            code.branch(Code.CALL_REL32_64, functions[0])
        else:
            _put(code, call, made)

    def put_functions(code: Assembler) -> None:
        for number, here in enumerate(functions, 1):
            aligned(code, here)
            if number == depth:
                _put(code, call, made)
            else:
                code.put(_stack(Code.SUB_RM64_IMM8))
                code.branch(Code.CALL_REL32_64, functions[number])
                code.put(_stack(Code.ADD_RM64_IMM8))
            code.put(Instruction.create(Code.RETNQ))

    return Body(name, turn, put_functions)


def _stack(code: IcedCode) -> Instruction:
    """Adjust rsp by 8, as compilers do to align the stack for calls."""
    return Instruction.create_reg_i32(code, Register.RSP, 8)


def _put(code: Assembler, call: Call, made: bool) -> None:
    for register, value in zip(_ARGUMENTS, call.arguments, strict=False):
        code.put(_constant(register, value))
    code.put(_constant(Register.RAX, call.number))
    if made:
        code.put(Instruction.create(Code.SYSCALL))


def _constant(register: IcedRegister, value: int) -> Instruction:
    return Instruction.create_reg_u64(Code.MOV_R64_IMM64, register, value)
