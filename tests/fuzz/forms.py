# SPDX-License-Identifier: GPL-2.0-only
"""Subjects around one instruction form each, with what else makes it difficult:
flags that are live across it, a stack pointer on the move, clamped bases, registers
that are nowhere yet.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import lru_cache

from iced_x86 import (
    BlockEncoder,
    Code,
    Encoder,
    Instruction,
    MemoryOperand,
    Mnemonic,
    OpCodeInfo,
    Register,
)

from tests.fuzz.operands import Places, Unsuitable, instance, is_control
from tests.fuzz.subject import (
    PAGE,
    R11,
    RCX,
    Subject,
    decode,
    layout_for,
    number,
    registers,
)
from ubypass.native.case import Layout
from ubypass.processor import features
from ubypass.region.discover import HotEntry, RegionSpec, discover
from ubypass.region.reader import BytesReader
from ubypass.translate.allowlist import names
from ubypass.translate.features import needs

__all__ = ["absent", "all_forms", "form_subject", "mixed_subject"]

_NR = 39
Put = Callable[..., int]
_SYSCALL = b"\x0f\x05"
# Whose results are not the same twice, and in which registers they are.
_VARYING = {Mnemonic.RDTSC: (0, 2), Mnemonic.RDTSCP: (0, 1, 2), Mnemonic.RDPID: ()}
# What programs mostly consist of.
_COMMON = (
    *("MOV_RM64_R64", "MOV_R64_RM64", "MOV_R32_RM32", "MOV_RM64_IMM32", "LEA_R64_M"),
    *("LEA_R32_M", "CMP_RM64_R64", "CMP_RM64_IMM8", "TEST_RM64_R64", "CMP_R32_RM32"),
    *("ADD_RM64_IMM8", "SUB_RM64_IMM8", "ADD_R64_RM64", "SUB_RM32_IMM8"),
    *("INC_RM64", "DEC_RM32", "XOR_R32_RM32", "AND_RM64_IMM8", "SHL_RM64_IMM8"),
    *("SHR_RM32_CL", "SETE_RM8", "SETL_RM8", "CMOVB_R64_RM64", "ADC_R64_RM64"),
    *(
        "SBB_RM32_R32",
        "PUSH_R64",
        "POP_R64",
        "MOVZX_R32_RM8",
        "PUSHFQ",
        "XCHG_RM64_R64",
    ),
    *("BSF_R64_RM64", "MOV_RM8_R8", "ADD_RM16_R16", "LEAVEQ", "PUSH_RM64", "POP_RM64"),
)


def all_forms() -> tuple[str, ...]:
    """Names of the forms that this processor has, in the order of the list."""
    return tuple(name for name in names() if _here(name))


def absent() -> tuple[str, ...]:
    """Names of allowed forms that this processor does not have."""
    return tuple(name for name in names() if not _here(name))


def _here(name: str) -> bool:
    return needs(getattr(Code, name)) <= features()


class _Writer:
    """Instructions one after another, from ``text`` on."""

    def __init__(self, text: int) -> None:
        self.text = text
        self.code = b""

    @property
    def ip(self) -> int:
        return self.text + len(self.code)

    def add(self, made: Instruction) -> None:
        encoder = Encoder(64)
        encoder.encode(made, self.ip)
        self.code += encoder.take_buffer()


def form_subject(name: str, seed: int) -> Subject:
    """A random subject for the form. Raises Unsuitable."""
    rng = random.Random(f"{name} {seed}")
    code = getattr(Code, name)
    text, layout = layout_for(rng)
    if is_control(code):
        return _control(name, code, rng)
    places = Places(layout.data, 2 * PAGE)
    writer = _Writer(text)
    main = instance(code, rng, places, text)
    used = registers(main)
    free = [n for n in range(16) if n not in used and n not in (4, RCX, R11)]
    rng.shuffle(free)
    _prologue(writer, main, used, free, rng)
    # The same again: relative to another address.
    made = _moved(main, writer.ip)
    tested = {writer.ip: code}
    writer.add(made)
    ignore = _fix_varying(writer, made)
    _epilogue(writer, main, free, rng)
    return _ended(f"{name} {seed}", writer, layout, used, tested, ignore, rng)


def mixed_subject(seed: int, look: tuple[str, ...] = ()) -> Subject:
    """Several instances of different forms, of few registers, one after another;
    more of those whose names begin as in ``look``.
    """
    rng = random.Random(f"mixed {seed}")
    special = tuple(n for n in _straight_forms() if n.startswith(look)) if look else ()
    text, layout = layout_for(rng)
    writer = _Writer(text)
    places = Places(layout.data, 2 * PAGE)
    few = rng.sample(range(16), 6)
    used: set[int] = set()
    tested = {}
    for register in (RCX, R11):
        if rng.random() < 0.8:
            source = rng.choice([n for n in range(16) if n not in (4, RCX, R11)])
            writer.add(
                Instruction.create_reg_reg(
                    Code.MOV_R64_RM64, Register.RAX + register, Register.RAX + source
                )
            )
    if rng.random() < 0.4:
        # Small from here on: good for an index.
        for register in rng.sample(few, 3):
            if register != 4:
                narrow = Register.EAX + register
                writer.add(
                    Instruction.create_reg_reg(Code.MOV_R32_RM32, narrow, narrow)
                )
    for _ in range(rng.randint(3, 9)):
        pool = _COMMON if rng.random() < 0.7 else _straight_forms()
        if special and rng.random() < 0.4:
            pool = special
        code = getattr(Code, rng.choice(pool))
        for _ in range(20):
            made = instance(code, rng, places, writer.ip)
            if made.mnemonic in _VARYING:
                break
            if registers(made) <= {*few, 4}:
                tested[writer.ip] = code
                used |= registers(made)
                writer.add(made)
                break
    return _ended(f"mixed {seed}", writer, layout, used, tested, frozenset(), rng)


@lru_cache(maxsize=1)
def _straight_forms() -> tuple[str, ...]:
    return tuple(name for name in all_forms() if not is_control(getattr(Code, name)))


def _ended(
    name: str,
    writer: _Writer,
    layout: Layout,
    used: set[int],
    tested: dict[int, int],
    ignore: frozenset[int],
    rng: random.Random,
) -> Subject:
    """The subject: what has been written, a system call, and what comes behind it."""
    text = writer.text
    writer.code += _SYSCALL
    after = writer.ip
    if rng.random() < 0.6:
        # Registers that are in use elsewhere keep theirs; so the tested ones do not.
        for register in range(16):
            if register not in used and register != 4:
                for _ in range(3):
                    writer.add(
                        Instruction.create_reg_mem(
                            Code.LEA_R64_M,
                            Register.RAX + register,
                            MemoryOperand(
                                Register.RAX + register, Register.NONE, 1, 1, 1
                            ),
                        )
                    )
        writer.add(Instruction.create_branch(Code.JMP_REL32_64, text))
    spec = RegionSpec((HotEntry(text, _NR), HotEntry(after, _NR)))
    region = discover(spec, BytesReader({text: writer.code}))
    return Subject(
        name=name,
        code={text: writer.code},
        region=region,
        layout=layout,
        tested=tested,
        ignore=ignore,
        first_only=True,
    )


def _moved(main: Instruction, ip: int) -> Instruction:
    made = main.copy()
    made.ip = ip
    return made


def _prologue(
    writer: _Writer,
    main: Instruction,
    used: set[int],
    free: list[int],
    rng: random.Random,
) -> None:
    # Both hold what a system call leaves, unless something is moved there.
    for register in (RCX, R11):
        if register in used and free and rng.random() < 0.8:
            source = free.pop()
            if source == 4:
                continue
            writer.add(
                Instruction.create_reg_reg(
                    Code.MOV_R64_RM64, Register.RAX + register, Register.RAX + source
                )
            )
    if rng.random() < 0.25:
        writer.add(
            rng.choice(
                (
                    Instruction.create_reg_i32(Code.SUB_RM64_IMM8, Register.RSP, 24),
                    Instruction.create_reg(Code.PUSH_R64, Register.RBX),
                    Instruction.create_reg_mem(
                        Code.LEA_R64_M, Register.RSP, _stack(-64)
                    ),
                )
            )
        )
    base = number(main.memory_base)
    wide = (
        main.memory_displacement < 1 << 31
        or main.memory_displacement >> 31 == (1 << 33) - 1
    )
    if base is not None and wide and free and rng.random() < 0.3:
        # From here on the base is known to be good.
        writer.add(
            Instruction.create_reg_mem(
                Code.MOV_R64_RM64,
                Register.RAX + free[0],
                MemoryOperand(
                    Register.RAX + base,
                    Register.NONE,
                    1,
                    _signed32(main.memory_displacement),
                    8,
                ),
            )
        )
    if rng.random() < 0.7:
        writer.add(_sets_flags(free, rng))
    if free and rng.random() < 0.3:
        # Changes what a repeated compare would need, not the flags.
        writer.add(
            Instruction.create_reg_i32(
                Code.MOV_R32_IMM32, Register.EAX + rng.choice(free), 0x1234
            )
        )


def _signed32(value: int) -> int:
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def _stack(displacement: int) -> MemoryOperand:
    return MemoryOperand(Register.RSP, Register.NONE, 1, displacement, 8)


def _sets_flags(free: list[int], rng: random.Random) -> Instruction:
    any_one = Register.RAX + rng.randrange(16)
    other = Register.RAX + rng.randrange(16)
    kind = rng.randrange(8)
    if kind < 2 or not free:
        return Instruction.create_reg_reg(Code.CMP_R64_RM64, any_one, other)
    target = Register.RAX + rng.choice(free)
    narrow = target - Register.RAX + Register.EAX
    if kind == 2:
        return Instruction.create_reg_reg(
            Code.TEST_RM32_R32, narrow, other - Register.RAX + Register.EAX
        )
    if kind == 3:
        return Instruction.create_reg_i32(Code.SUB_RM64_IMM8, target, 5)
    if kind == 4:
        return Instruction.create_reg_i32(Code.ADD_RM32_IMM32, narrow, -0x7654321)
    if kind == 5:
        return Instruction.create_reg_reg(Code.XOR_RM32_R32, narrow, narrow)
    if kind == 6:
        return Instruction.create_reg_i32(Code.SHL_RM64_IMM8, target, 3)
    return Instruction.create_reg(Code.INC_RM64, target)


def _fix_varying(writer: _Writer, main: Instruction) -> frozenset[int]:
    """Keep of a varying result only what has to be the same, as far as that is easy."""
    if main.mnemonic in _VARYING:
        for register in _VARYING[main.mnemonic]:
            writer.add(
                Instruction.create_reg_i32(
                    Code.SHR_RM64_IMM8, Register.RAX + register, 32
                )
            )
        return frozenset()
    return frozenset()


def _epilogue(
    writer: _Writer, main: Instruction, free: list[int], rng: random.Random
) -> None:
    if free and rng.random() < 0.5:
        target = rng.choice(free)
        writer.add(
            rng.choice(
                (
                    Instruction.create_reg(Code.SETB_RM8, _low_byte(target)),
                    Instruction.create_reg_reg(
                        Code.ADC_R64_RM64, Register.RAX + target, Register.RAX + target
                    ),
                    Instruction.create_reg_reg(
                        Code.CMOVS_R64_RM64, Register.RAX + target, Register.RSP
                    ),
                )
            )
        )
    result = number(main.op0_register)
    if len(free) > 1 and result not in (None, 4) and rng.random() < 0.25:
        # What is said to be small enough for an index had better be.
        writer.add(_indexed(free[0], free[1], Register.RAX + result))
    if rng.random() < 0.2:
        writer.add(
            Instruction.create_reg_mem(Code.MOV_R64_RM64, Register.RBP, _stack(8))
        )
    if len(free) > 2 and rng.random() < 0.3:
        # Its address is checked, while the flags are live.
        writer.add(_far_access(free[0], free[1], Register.RAX + free[2]))
    if rng.random() < 0.2:
        writer.add(Instruction.create_reg_i32(Code.ADD_RM64_IMM8, Register.RSP, 16))
    if free and rng.random() < 0.2:
        writer.add(
            Instruction.create_reg_reg(
                Code.XOR_RM64_R64, Register.RAX + free[0], Register.RAX + free[-1]
            )
        )


def _far_access(base: int, index: int, to: int) -> Instruction:
    """mov to, [base+index]"""
    place = MemoryOperand(Register.RAX + base, Register.RAX + index, 1, 0, 0)
    return Instruction.create_reg_mem(Code.MOV_R64_RM64, to, place)


def _indexed(to: int, base: int, index: int) -> Instruction:
    """mov to, [base+2*index]"""
    place = MemoryOperand(Register.RAX + base, index, 2, 0, 0)
    return Instruction.create_reg_mem(Code.MOV_R64_RM64, Register.RAX + to, place)


def _low_byte(register: int) -> int:
    if register < 4:
        return Register.AL + register
    return Register.SPL - 4 + register


def _control(name: str, code: int, rng: random.Random) -> Subject:
    """A form that jumps: over something, to a function, back to where it came from."""
    text, layout = layout_for(rng)
    items: list[Instruction] = []
    # A fake address for each instruction is its label; the encoder replaces them.
    labels = {"skip": 0x100, "function": 0x200, "after": 0x300, "end": 0x400}

    def add(made: Instruction, label: str = "") -> int:
        made.ip = labels[label] if label else 0x1000 + len(items)
        items.append(made)
        return len(items) - 1

    free = [n for n in range(16) if n not in (4, RCX, R11)]
    add(Instruction.create_reg_reg(Code.MOV_R64_RM64, Register.RCX, Register.RBX))
    if rng.random() < 0.4:
        add(Instruction.create_reg_reg(Code.MOV_R64_RM64, Register.R11, Register.R12))
    if rng.random() < 0.3:
        add(Instruction.create_reg(Code.PUSH_R64, Register.R10))
    if rng.random() < 0.8:
        add(_sets_flags(free, rng))
    if rng.random() < 0.2:
        add(Instruction.create_reg_reg(Code.CMP_R64_RM64, Register.RCX, Register.RDX))
        add(_far_access(7, 6, Register.R8))
    elif rng.random() < 0.4:
        # Needs the flags for itself, between those who set and read them.
        add(_far_access(7, 6, Register.R8))
    position = _transfer(name, code, rng, add, labels)
    add(Instruction.create_reg_i32(Code.XOR_RM64_IMM8, Register.RDX, 0x55))
    add(Instruction.create_reg_i32(Code.MOV_R32_IMM32, Register.R9D, 77), "skip")
    end = add(Instruction.create(Code.SYSCALL), "end")
    if "ret" in name.lower() or "CALL" in name:
        _function(name, code, rng, add)
    encoder = BlockEncoder(64, False)
    encoder.add_many(items)
    try:
        data = encoder.encode(text)
    except ValueError as error:
        raise Unsuitable(str(error)) from error
    ips = _addresses(data, text)
    if len(ips) != len(items):
        raise Unsuitable("instructions changed on the way")
    targets = {}
    if code in (Code.JMP_RM64, Code.CALL_RM64):
        goal = "skip" if code == Code.JMP_RM64 else "function"
        wanted = [i for i, made in enumerate(items) if made.ip == labels[goal]]
        targets[ips[position]] = (ips[wanted[0]],)
    spec = RegionSpec(
        (HotEntry(text, _NR), HotEntry(ips[end] + 2, _NR)), targets=targets
    )
    region = discover(spec, BytesReader({text: data}))
    tested_at = ips[position]
    if code in (Code.RETNQ, Code.RETNQ_IMM16):
        tested_at = text
    return Subject(
        name=name,
        code={text: data},
        region=region,
        layout=layout,
        tested={tested_at: code},
        first_only=True,
    )


def _transfer(
    name: str, code: int, rng: random.Random, put: Put, labels: dict[str, int]
) -> int:
    if code == Code.SYSCALL:
        return put(Instruction.create_reg_i32(Code.MOV_R32_IMM32, Register.EAX, 1))
    if code in (Code.RETNQ, Code.RETNQ_IMM16):
        return put(Instruction.create_branch(Code.CALL_REL32_64, labels["function"]))
    if code in (Code.JMP_RM64, Code.CALL_RM64):
        goal = labels["skip" if code == Code.JMP_RM64 else "function"]
        register = Register.RAX + rng.choice((0, 1, 3, 8, 10, 11, 15))
        put(
            Instruction.create_reg_mem(
                Code.LEA_R64_M,
                register,
                MemoryOperand(Register.RIP, Register.NONE, 1, goal, 8),
            )
        )
        if rng.random() < 0.4:
            put(Instruction.create_mem_reg(Code.MOV_RM64_R64, _stack(-32), register))
            return put(Instruction.create_mem(code, _stack(-32)))
        return put(Instruction.create_reg(code, register))
    goal = labels["function" if "CALL" in name else "skip"]
    return put(Instruction.create_branch(code, goal))


def _function(name: str, code: int, rng: random.Random, put: Put) -> None:
    put(Instruction.create_reg_i32(Code.ADD_RM64_IMM8, Register.RSI, 3), "function")
    if code == Code.RETNQ_IMM16:
        put(Instruction.create_u32(Code.RETNQ_IMM16, 8 * rng.randrange(4)))
    else:
        put(Instruction.create(Code.RETNQ))


def _addresses(data: bytes, text: int) -> list[int]:
    return [made.ip for made in decode(data, text)]


def described(name: str) -> str:
    """The form as manuals write it."""
    return str(OpCodeInfo(getattr(Code, name)).instruction_string)


def numbered(first: int) -> Iterator[tuple[str, int]]:
    """Every form once, then again, with another number each time."""
    turn = first
    while True:
        for name in all_forms():
            yield name, turn
        turn += 1
