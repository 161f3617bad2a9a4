# SPDX-License-Identifier: GPL-2.0-only
"""Dead flags that a signal frame or a debugger shows, rematerialized in exit stubs.

Clamps overwrite dead flags without saving them. At an exit to user mode most can be
rematerialized from the instruction that set them: its operands are often still in a
host register or in ``pt_regs``, and an overwritten one follows from the result. The
cost is code in exit stubs only.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Final

from iced_x86 import Code, Instruction, Mnemonic, Register

from ubypass.abi import FRAME_SYSFLAGS
from ubypass.region.liveness import ARITHMETIC
from ubypass.translate.emit import Buffer, encoded
from ubypass.translate.iced import IcedCode, IcedRegister
from ubypass.translate.insn_info import InsnInfo, RegisterOperand
from ubypass.translate.memo import remember
from ubypass.translate.registers import (
    RAX,
    RCX,
    RSP,
    SLOT,
    is_high_byte,
    resized,
    width,
)
from ubypass.translate.remat import equal

__all__ = [
    "EQUAL",
    "SYSTEM",
    "Places",
    "Shown",
    "Step",
    "code_for",
    "common",
    "known_equal",
    "shown_after",
]

#: How a step obtains its flags.
_EQUAL: Final = 0  # the flags of a compare of equal values
_REDO: Final = 1  # the instruction, which changes no register
_RESULT: Final = 2  # from the result alone
_UNDO: Final = 3  # undone and repeated, on a copy of the result
_FRESH: Final = 4  # repeated, with another destination
_BORROW: Final = 5  # sbb of a register with itself, from the result
_SYSTEM: Final = 6  # the flags at the last system call, from SYSFLAGS

# Largest chain of instructions that each change some of the flags.
_LONGEST: Final = 4
_NOWHERE: Final = 3  # Loc.S: this module is below state.py
_MEMORY: Final = 0  # Loc.M


class Step:
    """One instruction that set flags; ``undo`` is an iced code. ``stack``: rsp as an
    operand, relative to its host register. Immutable, compared by value.
    """

    # Written out, unlike a named tuple, it is compiled.
    def __init__(
        self,
        how: int,
        instruction: Instruction | None = None,
        undo: IcedCode = Code.INVALID,
        users: tuple[int, ...] = (),
        stack: int = 0,
    ) -> None:
        self.how: Final = how
        self.instruction: Final = instruction
        self.undo: Final = undo
        self.users: Final = users
        self.stack: Final = stack

    def at(self, stack: int) -> Step:
        """The same with another ``stack``."""
        return Step(self.how, self.instruction, self.undo, self.users, stack)

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Step)
            and self.how == other.how
            and self.stack == other.stack
            and self.undo == other.undo
            and self.users == other.users
            and self.instruction == other.instruction
        )

    def __hash__(self) -> int:
        return hash((self.how, self.instruction, self.users, self.stack))


class Shown:
    """How to rematerialize all flags: ``steps`` in order. ``registers`` are the user
    registers that must not change. ``equal``: the flags equal those of a compare of
    equal values. Immutable, compared by value.
    """

    def __init__(
        self, steps: tuple[Step, ...], registers: frozenset[int], equal: bool = False
    ) -> None:
        self.steps: Final = steps
        self.registers: Final = registers
        self.equal: Final = equal

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Shown)
            and self.equal == other.equal
            and self.registers == other.registers
            and self.steps == other.steps
        )

    def __hash__(self) -> int:
        return hash((self.steps, self.registers, self.equal))

    def with_equal(self, equal: bool) -> Shown:
        """The same with another ``equal``."""
        if self.equal == equal:
            return self
        return Shown(self.steps, self.registers, equal)

    def without(self, user: int) -> Shown | None:
        """The rest after a change of the user register; None if nothing is left."""
        if user not in self.registers:
            return self
        return EQUAL if self.equal else None

    def moved(self, amount: int) -> Shown:
        """The same after ``amount`` was added to the host register of rsp."""
        if RSP not in self.registers:
            return self
        steps = [
            step.at(step.stack - amount) if RSP in step.users else step
            for step in self.steps
        ]
        return Shown(tuple(steps), self.registers, self.equal)


EQUAL: Final = Shown((Step(_EQUAL),), frozenset())
#: Valid until just before the next dispatch.
SYSTEM: Final = Shown((Step(_SYSTEM),), frozenset())


def known_equal(shown: Shown | None) -> Shown:
    """``shown`` where a compare found two values equal."""
    return EQUAL if shown is None else shown.with_equal(True)


def common(found: Sequence[Shown | None]) -> Shown | None:
    """The common part of all of ``found``; None if there is none."""
    first = found[0]
    if first is None:
        return None
    equal = True
    for other in found:
        if other is None or other.steps != first.steps:
            return None
        equal = equal and other.equal
    return first.with_equal(equal)


#: The step of each instruction, by its info; None: none.
_known: dict[int, tuple[Step | None]] = {}


def shown_after(info: InsnInfo, before: Shown | None, stack: int) -> Shown | None:
    """How to rematerialize the flags after the instruction of ``info``; None if
    impossible.

    ``before`` is how to rematerialize the flags before the instruction, if its
    registers are unchanged after it; ``stack`` is the offset of rsp from its host
    register then.
    """
    found = _known.get(info.serial)
    if found is None:
        found = remember(_known, info.serial, (_step(info),))
    step = found[0]
    if step is None:
        return None
    steps: tuple[Step, ...] = ()
    registers = frozenset(step.users)
    if RSP in registers:
        step = step.at(stack)
    alone = info.flags.kills == ARITHMETIC and (
        not info.flags.reads or step.how == _BORROW
    )
    if not alone:
        if before is None or len(before.steps) >= _LONGEST:
            return None
        steps = before.steps
        registers |= before.registers
    return Shown((*steps, step), registers)


def _step(info: InsnInfo) -> Step | None:
    instruction, mnemonic = info.instruction, info.mnemonic
    if info.implicit or any(is_high_byte(o.register) for o in info.operands):
        return None
    first = info.operands[0] if info.operands else None
    if first is not None and first.operand:
        first = None
    others = info.operands[1:]
    users = tuple({operand.user: None for operand in info.operands})
    same = (
        first is not None
        and len(others) == 1
        and first.register == others[0].register
        and instruction.op_count == 2
    )
    if same and mnemonic in (Mnemonic.SUB, Mnemonic.XOR, Mnemonic.CMP):
        return Step(_EQUAL)
    if first is not None and same and mnemonic == Mnemonic.SBB:
        return _alone(_BORROW, first)
    if first is not None and mnemonic in _LOGIC:
        return _alone(_RESULT, first)
    if info.memory is not None:
        # The register may have changed by then.
        return None
    code = _GENERAL.get(instruction.code, instruction.code)
    if mnemonic in _READ_ONLY:
        return Step(_REDO, _with(instruction, code), users=users)
    if first is None or any(other.user == first.user for other in others):
        return None
    if code in _UNDONE:
        return Step(_UNDO, _with(instruction, code), _UNDONE[code], users)
    if mnemonic in _ELSEWHERE and width(first.register) >= 4:
        if instruction.op_count == 2 and mnemonic == Mnemonic.IMUL:
            return None
        # The overwritten operand does not matter.
        sources = tuple(user for user in users if user != first.user)
        return Step(_FRESH, _with(instruction, code), users=sources)
    return None


def _alone(how: int, operand: RegisterOperand) -> Step:
    code = _TESTS[width(operand.register)]
    register = operand.register
    made = Instruction.create_reg_reg(code, register, register)
    return Step(how, made, users=(operand.user,))


def _with(instruction: Instruction, code: IcedCode) -> Instruction:
    made = instruction.copy()
    made.code = code
    return made


class Places:
    """The places of values at the exit: ``hosts`` by user register, -1 for registers
    without a host register, which are in ``pt_regs``; ``loc`` as in
    :class:`.state.State`, ``cx`` the value of rcx in state ``S``. ``scratch`` are two
    free host registers.
    """

    def __init__(
        self, hosts: tuple[int, ...], loc: list[int], cx: int, scratch: tuple[int, int]
    ) -> None:
        self.hosts: Final = hosts
        self.loc: Final = loc
        self.cx: Final = cx
        self.scratch: Final = scratch


def code_for(shown: Shown, places: Places) -> bytes:
    """The instructions; empty if impossible."""
    out = Buffer()
    try:
        for step in shown.steps:
            _emit(out, step, places)
    except ValueError:
        # An operand without a place, or no encoding with these registers.
        return b""
    return bytes(out.code)


def _emit(out: Buffer, step: Step, places: Places) -> None:
    copy, other = places.scratch
    instruction = step.instruction
    if step.how == _SYSTEM:
        # The image may be from user mode, which popfq must not restore here.
        kept = places.loc[RAX] not in (_MEMORY, _NOWHERE)
        if kept:
            out.move(copy, RAX)
        out.frame_load(RAX, FRAME_SYSFLAGS)
        out.arithmetic_flags(RAX, other)
        if kept:
            out.move(RAX, copy)
        return
    if instruction is None:
        # The verifier requires a defined value in the register.
        out.move_imm(copy, 0)
        out.raw(equal(copy).compare)
        return
    made = instruction.copy()
    if step.how in (_REDO, _RESULT):
        given: dict[int, int] = {}
        for operand in range(made.op_count):
            register = made.op_register(operand)
            if register == Register.NONE:
                continue
            user = _NUMBER[register]
            if user not in given:
                free = other if copy in given.values() else copy
                given[user] = _where(out, user, step, places, free)
            made.set_op_register(operand, resized(register, given[user]))
        out.raw(encoded(made))
        return
    first = made.op0_register
    result = resized(first, copy)
    for operand in range(1, made.op_count):
        register = made.op_register(operand)
        if register != Register.NONE and step.how != _BORROW:
            host = _where(out, _NUMBER[register], step, places, other)
            made.set_op_register(operand, resized(register, host))
    if step.how == _FRESH:
        made.op0_register = result
        out.raw(encoded(made))
        return
    host = _where(out, _NUMBER[first], step, places, copy)
    if host != copy:
        out.move(copy, host)
    if step.how == _BORROW:
        negate = Instruction.create_reg(_NEGATE[width(first)], result)
        out.raw(encoded(negate) + encoded(negate))
        return
    made.op0_register = result
    out.raw(encoded(_with(made, step.undo)) + encoded(made))


def _where(out: Buffer, user: int, step: Step, places: Places, free: int) -> int:
    """A host register with the user register's value: its host register, or
    ``free``.
    """
    host, loc = places.hosts[user], places.loc[user]
    if user == RSP:
        if loc == _MEMORY:
            raise ValueError("rsp is not in its home")
        out.lea(free, host, step.stack)
        return free
    if loc == _NOWHERE:
        if user != RCX:
            raise ValueError("r11 is nowhere")
        out.move_imm(free, places.cx)
        return free
    if host >= 0 and loc != _MEMORY:
        return host
    out.frame_load(free, SLOT[user])
    return free


def _files() -> dict[IcedRegister, int]:
    found: dict[IcedRegister, int] = {}
    for host in range(16):
        for file in (Register.AL, Register.AX, Register.EAX, Register.RAX):
            found[resized(file, host)] = host
    return found


@functools.cache
def _named(name: str) -> IcedCode:
    code: IcedCode = getattr(Code, name)
    return code


_NUMBER: Final = _files()
_LOGIC: Final = (Mnemonic.AND, Mnemonic.OR, Mnemonic.XOR)
_READ_ONLY: Final = frozenset(
    {
        *(Mnemonic.CMP, Mnemonic.TEST, Mnemonic.BT),
        *(Mnemonic.CLC, Mnemonic.STC, Mnemonic.CMC),
    }
)
#: Instructions that compute their destination from other operands only.
_ELSEWHERE: Final = frozenset(
    {Mnemonic.IMUL, Mnemonic.POPCNT, Mnemonic.LZCNT, Mnemonic.TZCNT}
)
_TESTS: Final = {
    1: Code.TEST_RM8_R8,
    2: Code.TEST_RM16_R16,
    4: Code.TEST_RM32_R32,
    8: Code.TEST_RM64_R64,
}
_NEGATE: Final = {1: Code.NEG_RM8, 2: Code.NEG_RM16, 4: Code.NEG_RM32, 8: Code.NEG_RM64}
#: Forms that name rax, and those that name any register.
_GENERAL: Final[dict[IcedCode, IcedCode]] = {
    _named(f"{name}_{accumulator}_{immediate}"): _named(f"{name}_{rm}_{immediate}")
    for name in ("ADD", "SUB", "CMP", "TEST")
    for accumulator, rm, immediate in (
        ("AL", "RM8", "IMM8"),
        ("AX", "RM16", "IMM16"),
        ("EAX", "RM32", "IMM32"),
        ("RAX", "RM64", "IMM32"),
    )
}
_BINARY: Final = (
    *("RM8_R8", "RM16_R16", "RM32_R32", "RM64_R64"),
    *("R8_RM8", "R16_RM16", "R32_RM32", "R64_RM64"),
    *("RM8_IMM8", "RM16_IMM16", "RM32_IMM32", "RM64_IMM32"),
    *("RM16_IMM8", "RM32_IMM8", "RM64_IMM8"),
)
_UNARY: Final = ("RM8", "RM16", "RM32", "RM64")
#: The inverse of each operation.
_UNDONE: Final[dict[IcedCode, IcedCode]] = {
    **{_named(f"ADD_{shape}"): _named(f"SUB_{shape}") for shape in _BINARY},
    **{_named(f"SUB_{shape}"): _named(f"ADD_{shape}") for shape in _BINARY},
    **{_named(f"INC_{shape}"): _named(f"DEC_{shape}") for shape in _UNARY},
    **{_named(f"DEC_{shape}"): _named(f"INC_{shape}") for shape in _UNARY},
    **{_named(f"NEG_{shape}"): _named(f"NEG_{shape}") for shape in _UNARY},
}
