# SPDX-License-Identifier: GPL-2.0-only
"""Rematerialize the user's arithmetic flags instead of saving them.

A compare of registers can be repeated while its registers are unchanged. An addition or
subtraction of a constant, or of an unchanged register, is undone and repeated on a
scratch register. If a compare found two values equal, all flags are known. So flags
that only rare paths need have no cost on the other paths.
"""

from __future__ import annotations

import functools
from typing import Final

from iced_x86 import Code, Instruction, Mnemonic, OpKind, Register

from ubypass.translate.emit import Buffer, encoded
from ubypass.translate.iced import IcedCode
from ubypass.translate.insn_info import InsnInfo, RegisterOperand
from ubypass.translate.registers import RegisterAssignment, resized, width
from ubypass.words import signed64

__all__ = ["COMPARES", "Remat", "equal", "remat_of"]


class Remat:
    """Code that rematerializes the flags. Immutable, compared by value.

    ``registers`` are the user registers on which it depends. With ``scratch`` needed,
    the code is ``lea scratch, [host + displacement]`` and then ``operation`` (an
    iced code) on the scratch register with ``immediate``; or, if there are any, the
    operations ``undone`` on a copy in the scratch register, with ``other``, a host
    register.
    """

    # Written out, unlike a named tuple, it is compiled.
    def __init__(
        self,
        registers: frozenset[int],
        compare: bytes = b"",
        *,
        host: int = -1,
        displacement: int = 0,
        operation: IcedCode = Code.INVALID,
        immediate: int = 0,
        undone: tuple[IcedCode, ...] = (),
        other: int = -1,
    ) -> None:
        self.registers: Final = registers
        self.compare: Final = compare
        self.host: Final = host
        self.displacement: Final = displacement
        self.operation: Final = operation
        self.immediate: Final = immediate
        self.undone: Final = undone
        self.other: Final = other

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Remat)
            and self.compare == other.compare
            and self.host == other.host
            and self.displacement == other.displacement
            and self.operation == other.operation
            and self.immediate == other.immediate
            and self.undone == other.undone
            and self.other == other.other
            and self.registers == other.registers
        )

    def __hash__(self) -> int:
        return hash((self.registers, self.compare, self.host, self.displacement))

    @property
    def scratch(self) -> bool:
        """Whether a scratch register is needed."""
        return not self.compare

    def code(self, scratch: int) -> bytes:
        """The instructions, with ``scratch`` as the scratch register."""
        if self.compare:
            return self.compare
        out = Buffer()
        if self.undone:
            out.move(scratch, self.host)
            for operation in self.undone:
                out.raw(_operation(operation, scratch, self.other))
            return bytes(out.code)
        out.lea(scratch, self.host, self.displacement)
        wide = self.operation in (Code.ADD_RM64_IMM32, Code.SUB_RM64_IMM32)
        register = resized(Register.RAX if wide else Register.EAX, scratch)
        out.user(Instruction.create_reg_i32(self.operation, register, self.immediate))
        return bytes(out.code)

    def moved(self, amount: int) -> Remat | None:
        """The same after ``amount`` was added to its register; None if out of range."""
        displacement = self.displacement - amount
        if self.compare or self.undone or not -(1 << 31) <= displacement < 1 << 31:
            return None
        return Remat(
            self.registers,
            host=self.host,
            displacement=displacement,
            operation=self.operation,
            immediate=self.immediate,
            other=self.other,
        )


#: Instructions whose flags are all determined if ZF is set.
COMPARES: Final = frozenset(
    {
        *(Mnemonic.CMP, Mnemonic.SUB, Mnemonic.NEG, Mnemonic.CMPXCHG),
        *(Mnemonic.TEST, Mnemonic.AND, Mnemonic.OR, Mnemonic.XOR),
    }
)


@functools.cache
def equal(host: int) -> Remat:
    """The flags after a compare of equal values; ``host`` is any host register
    with a value of the user's.
    """
    register = resized(Register.EAX, host)
    code = encoded(Instruction.create_reg_reg(Code.CMP_R32_RM32, register, register))
    return Remat(frozenset(), compare=code)


def remat_of(
    info: InsnInfo, assignment: RegisterAssignment, code: bytes
) -> Remat | None:
    """How to rematerialize the flags that the instruction of ``info``, emitted as
    ``code``, has set; None when that cannot be done.
    """
    instruction = info.instruction
    mnemonic = instruction.mnemonic
    if any(assignment.spilled(operand.user) for operand in info.operands):
        return None
    first = info.operands[0] if info.operands else None
    if mnemonic in _LOGIC and first is not None and first.operand == 0:
        return _logic(first, assignment)
    if info.memory is not None:
        # The register may have changed by then.
        return None
    if mnemonic in (Mnemonic.CMP, Mnemonic.TEST):
        return Remat(frozenset(o.user for o in info.operands), compare=code)
    if first is None or first.operand != 0:
        return None
    undone = _UNDONE.get(instruction.code)
    if undone is not None:
        return _undone(undone, info, assignment)
    kind = _OPERATIONS.get(instruction.code)
    if kind is None or instruction.op1_kind not in _IMMEDIATES:
        return None
    value = signed64(instruction.immediate(1))
    if value >> 31 == 1:
        # A 32-bit immediate with its top bit set.
        value -= 1 << 32
    if not -(1 << 31) < value < 1 << 31:
        return None
    subtracts = mnemonic == Mnemonic.SUB
    return Remat(
        frozenset({first.user}),
        host=assignment.host[first.user],
        displacement=value if subtracts else -value,
        operation=kind,
        immediate=value,
    )


def _undone(
    operations: tuple[IcedCode, ...], info: InsnInfo, assignment: RegisterAssignment
) -> Remat | None:
    """Undo and redo the operation, with an operand that did not change."""
    registers = [operand.user for operand in info.operands]
    if len(set(registers)) != len(registers):
        return None
    return Remat(
        frozenset(registers),
        host=assignment.host[registers[0]],
        undone=operations,
        other=assignment.host[registers[1]] if len(registers) > 1 else -1,
    )


@functools.cache
def _operation(code: IcedCode, to: int, other: int) -> bytes:
    """``code`` on host register ``to``, with ``other`` if there is one."""
    file = Register.RAX if code in _WIDE else Register.EAX
    register = resized(file, to)
    if other < 0:
        return encoded(Instruction.create_reg(code, register))
    return encoded(Instruction.create_reg_reg(code, register, resized(file, other)))


def _logic(result: RegisterOperand, assignment: RegisterAssignment) -> Remat | None:
    """A logic operation: the result determines the flags."""
    size, host = width(result.register), assignment.host[result.user]
    if size not in _TESTS:
        return None
    return Remat(frozenset({result.user}), compare=_test(size, host))


@functools.cache
def _test(size: int, host: int) -> bytes:
    """test register, register, of 4 or 8 bytes"""
    register = resized(Register.EAX if size == 4 else Register.RAX, host)
    return encoded(Instruction.create_reg_reg(_TESTS[size], register, register))


_TESTS: Final = {4: Code.TEST_RM32_R32, 8: Code.TEST_RM64_R64}
_LOGIC: Final = (Mnemonic.AND, Mnemonic.OR, Mnemonic.XOR)
_ADDED: Final = Code.SUB_R32_RM32, Code.ADD_R32_RM32
_SUBTRACTED: Final = Code.ADD_R32_RM32, Code.SUB_R32_RM32
_ADDED_WIDE: Final = Code.SUB_R64_RM64, Code.ADD_R64_RM64
_SUBTRACTED_WIDE: Final = Code.ADD_R64_RM64, Code.SUB_R64_RM64
#: By operation: the inverse operation, and the operation itself.
_UNDONE: Final[dict[IcedCode, tuple[IcedCode, ...]]] = {
    Code.ADD_R32_RM32: _ADDED,
    Code.ADD_RM32_R32: _ADDED,
    Code.SUB_R32_RM32: _SUBTRACTED,
    Code.SUB_RM32_R32: _SUBTRACTED,
    Code.NEG_RM32: (Code.NEG_RM32, Code.NEG_RM32),
    Code.ADD_R64_RM64: _ADDED_WIDE,
    Code.ADD_RM64_R64: _ADDED_WIDE,
    Code.SUB_R64_RM64: _SUBTRACTED_WIDE,
    Code.SUB_RM64_R64: _SUBTRACTED_WIDE,
    Code.NEG_RM64: (Code.NEG_RM64, Code.NEG_RM64),
}
_WIDE: Final = frozenset({*_ADDED_WIDE, *_SUBTRACTED_WIDE, Code.NEG_RM64})
_OPERATIONS: Final = {
    Code.ADD_RM64_IMM8: Code.ADD_RM64_IMM32,
    Code.ADD_RM64_IMM32: Code.ADD_RM64_IMM32,
    Code.ADD_RAX_IMM32: Code.ADD_RM64_IMM32,
    Code.SUB_RM64_IMM8: Code.SUB_RM64_IMM32,
    Code.SUB_RM64_IMM32: Code.SUB_RM64_IMM32,
    Code.SUB_RAX_IMM32: Code.SUB_RM64_IMM32,
    Code.ADD_RM32_IMM8: Code.ADD_RM32_IMM32,
    Code.ADD_RM32_IMM32: Code.ADD_RM32_IMM32,
    Code.ADD_EAX_IMM32: Code.ADD_RM32_IMM32,
    Code.SUB_RM32_IMM8: Code.SUB_RM32_IMM32,
    Code.SUB_RM32_IMM32: Code.SUB_RM32_IMM32,
    Code.SUB_EAX_IMM32: Code.SUB_RM32_IMM32,
}
_IMMEDIATES: Final = frozenset(
    {
        OpKind.IMMEDIATE8TO64,
        OpKind.IMMEDIATE32TO64,
        OpKind.IMMEDIATE8TO32,
        OpKind.IMMEDIATE32,
    }
)
