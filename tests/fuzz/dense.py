# SPDX-License-Identifier: GPL-2.0-only
"""Subjects in which everything depends on everything: few registers, most of them
without a host register, flags that are set long before they are read, addresses in
between.

The forms are the commonest ones only; what matters is how they meet.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from iced_x86 import BlockEncoder, Code, Instruction, MemoryOperand, Register

from tests.fuzz.subject import R11, RCX, RSP, Subject, layout_for
from ubypass.native.case import Layout
from ubypass.region.discover import HotEntry, RegionSpec, discover
from ubypass.region.reader import BytesReader

__all__ = ["dense_subject"]

_NR = 39
# Who may have to live without a host register: see assign_registers() of the
# translator.
_RARE = (3, 5, 8, 9, 10, 12, 13, 14, 15)
_COMMON = (0, RCX, 2, 6, 7, R11)
_CONDITIONS = (
    *("O", "NO", "B", "AE", "E", "NE", "BE", "A"),
    *("S", "NS", "P", "NP", "L", "GE", "LE", "G"),
)
_BITS = (64, 64, 64, 32, 32, 16, 8)
# More uses than the tested code has of any register.
_USES = 16


def dense_subject(seed: int) -> Subject:
    """A random subject; control comes in at its first instruction only."""
    rng = random.Random(f"dense {seed}")
    text, layout = layout_for(rng)
    items = _Writer(rng, layout).all()
    encoder = BlockEncoder(64)
    encoder.add_many(items)
    code = encoder.encode(text)
    region = discover(
        RegionSpec((HotEntry(text, _NR), HotEntry(_after(code, text), _NR))),
        BytesReader({text: code}),
    )
    return Subject(
        name=f"dense {seed}",
        code={text: code},
        region=region,
        layout=layout,
        first_only=True,
    )


def _after(code: bytes, text: int) -> int:
    """Behind the only system call; its bytes begin nothing else here."""
    return text + code.rindex(_SYSCALL) + len(_SYSCALL)


_SYSCALL = b"\x0f\x05\x90\x90"
_START, _TOP, _END = 1, 2, 3
_FIRST_LABEL = 0x100
#: Instructions after which nothing more is called.
_LONG = 60


class _Writer:
    """Writes one program. The address of an instruction is its label until the
    encoder gives it a real one.

    Each program has its own mixture: what is frequent in one is rare in the next, so
    that all combinations come up.
    """

    def __init__(self, rng: random.Random, layout: Layout) -> None:
        self._rng = rng
        self._layout = layout
        self._items: list[Instruction] = []
        rare = rng.sample(_RARE, rng.randint(2, 4))
        self._few = rare + rng.sample(_COMMON, rng.randint(1, 3))
        #: Used for addresses more often than others.
        self._base, self._index = rng.choice(self._few), rng.choice(self._few)
        self._indexed = rng.choice((0.1, 0.3, 0.8))
        self._narrowed = rng.choice((0.1, 0.5, 0.9))
        self._weights = [
            weight * rng.choice((1, 2, 6)) for weight in (13, 11, 10, 6, 4, 5, 4, 4, 3)
        ]
        self._label = _FIRST_LABEL
        #: Labels jumped to that are not there yet: after how many steps they come.
        self._open: dict[int, int] = {}
        self._next_label = 0
        #: Base, index and scale of the last access with an index.
        self._sum: tuple[int, int, int] | None = None
        #: Labels of functions that are called and not there yet.
        self._called: list[int] = []

    def all(self) -> list[Instruction]:
        """The program, with a system call before its end."""
        rng = self._rng
        self._next_label = _START
        for register in (RCX, R11):
            if register in self._few and rng.random() < 0.8:
                self._rr("MOV_R64_RM64", register, self._one())
        if rng.random() < 0.6:
            self._steps(rng.randint(4, 14))
        else:
            self._steps(rng.randint(0, 5))
            self._loop(rng.randint(2, 8))
            self._steps(rng.randint(0, 4))
        self._leave()
        self._next_label = _END
        self._put(Instruction.create(Code.SYSCALL))
        self._put(Instruction.create(Code.NOPD))
        self._put(Instruction.create(Code.NOPD))
        self._others()
        self._put(Instruction.create_branch(Code.JMP_REL32_64, _START))
        while self._called:
            self._function(self._called.pop())
        return self._items

    def _steps(self, count: int) -> None:
        makers: tuple[Callable[[], None], ...] = (
            *(self._sets, self._access, self._writes, self._reads),
            *(self._stack, self._branch, self._moves_on, self._narrows),
            self._call,
        )
        for _ in range(count):
            for label in [n for n, steps in self._open.items() if steps <= 0]:
                self._close(label)
            self._open = {n: steps - 1 for n, steps in self._open.items()}
            self._rng.choices(makers, self._weights)[0]()
        for label in list(self._open):
            self._close(label)

    def _close(self, label: int) -> None:
        del self._open[label]
        self._next_label = label
        self._put(Instruction.create(Code.NOPD))

    def _put(self, made: Instruction) -> None:
        self._label += 1
        made.ip = self._next_label or self._label + 0x10000
        self._next_label = 0
        self._items.append(made)

    def _one(self) -> int:
        return self._rng.choice(self._few)

    def _near(self, favourite: int) -> int:
        return favourite if self._rng.random() < 0.6 else self._one()

    def _rr(self, name: str, to: int, source: int, bits: int = 64) -> None:
        code = getattr(Code, name)
        self._put(
            Instruction.create_reg_reg(code, _sized(to, bits), _sized(source, bits))
        )

    def _sets(self) -> None:
        """Sets flags, and maybe a register."""
        rng, bits = self._rng, self._rng.choice(_BITS)
        kind = rng.random()
        if kind < 0.45:
            name = rng.choice(("CMP", "CMP", "SUB", "ADD", "AND", "XOR", "OR"))
            self._rr(f"{name}_R{bits}_RM{bits}", self._one(), self._one(), bits)
        elif kind < 0.55:
            self._rr(f"TEST_RM{bits}_R{bits}", self._one(), self._one(), bits)
        elif kind < 0.9:
            name = rng.choice(("CMP", "ADD", "SUB", "SUB", "AND", "XOR"))
            register = _sized(self._one(), bits)
            value = rng.choice((1, 3, 8, 127, -1, -8, -128))
            self._put(
                Instruction.create_reg_i32(
                    getattr(Code, f"{name}_RM{bits}_IMM8"), register, value
                )
            )
        else:
            name = rng.choice(("INC", "DEC", "NEG"))
            code = getattr(Code, f"{name}_RM{bits}")
            self._put(Instruction.create_reg(code, _sized(self._one(), bits)))

    def _place(self) -> MemoryOperand:
        """Of an access: mostly a bare pointer."""
        rng = self._rng
        displacement = rng.choice((0, 0, 8, 40, -8, 4096, -(3 << 20)))
        index, scale = Register.NONE, 1
        if self._sum is not None and rng.random() < 0.3:
            base, index, scale = self._sum
            if rng.random() < 0.2:
                scale = rng.choice((1, 2, 4, 8))
            size = 1 if -128 <= displacement < 128 else 8
            return MemoryOperand(base, index, scale, displacement, size)
        if rng.random() < self._indexed:
            small = self._near(self._index)
            if rng.random() < self._narrowed:
                self._rr("MOV_R32_RM32", small, small, 32)
            index, scale = Register.RAX + small, rng.choice((1, 2, 4, 8))
        base = Register.RAX + self._near(self._base)
        if rng.random() < 0.1:
            data = self._layout.data + 8 * rng.randrange(512)
            return MemoryOperand(Register.RIP, Register.NONE, 1, data, 8)
        size = 1 if -128 <= displacement < 128 else 8
        if index != Register.NONE:
            self._sum = base, index, scale
        if rng.random() < 0.06:
            # An address of 32 bits.
            base, size = base - Register.RAX + Register.EAX, min(size, 4)
            if index != Register.NONE:
                index += Register.EAX - Register.RAX
        return MemoryOperand(base, index, scale, displacement, size)

    def _access(self) -> None:
        rng, bits = self._rng, self._rng.choice(_BITS)
        register = _sized(self._one(), bits)
        place = self._place()
        kind = rng.random()
        if kind < 0.5:
            code = getattr(Code, f"MOV_R{bits}_RM{bits}")
            self._put(Instruction.create_reg_mem(code, register, place))
        elif kind < 0.85:
            code = getattr(Code, f"MOV_RM{bits}_R{bits}")
            self._put(Instruction.create_mem_reg(code, place, register))
        else:
            name = rng.choice(("CMP", "ADD", "ADC"))
            code = getattr(Code, f"{name}_R{bits}_RM{bits}")
            self._put(Instruction.create_reg_mem(code, register, place))

    def _writes(self) -> None:
        """Writes a register and leaves the flags alone."""
        rng = self._rng
        kind = rng.random()
        if kind < 0.4:
            self._rr("MOV_R64_RM64", self._one(), self._one())
        elif kind < 0.5:
            bits = rng.choice((32, 16, 8))
            self._rr(f"MOV_R{bits}_RM{bits}", self._one(), self._one(), bits)
        elif kind < 0.6:
            self._rr("XCHG_RM64_R64", self._one(), self._one())
        else:
            self._lea()

    def _lea(self) -> None:
        rng = self._rng
        bits = rng.choice((64, 64, 64, 32, 16))
        index = rng.choice((Register.NONE, *(Register.RAX + n for n in self._few)))
        base = rng.choice((*self._few, *self._few, RSP))
        scale = rng.choice((1, 2, 4, 8)) if index != Register.NONE else 1
        displacement = rng.choice((0, 1, -1, 16, 1000))
        size = 1 if -128 <= displacement < 128 else 8
        base += Register.RAX
        if rng.random() < 0.15:
            # An address of 32 bits.
            base += Register.EAX - Register.RAX
            size = min(size, 4)
            if index != Register.NONE:
                index += Register.EAX - Register.RAX
                if rng.random() < 0.4:
                    base, size = Register.NONE, 4
        place = MemoryOperand(base, index, scale, displacement, size)
        code = getattr(Code, f"LEA_R{bits}_M")
        to = _sized(self._one(), bits)
        self._put(Instruction.create_reg_mem(code, to, place))

    def _reads(self) -> None:
        """Reads flags."""
        rng, condition = self._rng, self._rng.choice(_CONDITIONS)
        kind = rng.random()
        if kind < 0.4:
            code = getattr(Code, f"SET{condition}_RM8")
            self._put(Instruction.create_reg(code, _sized(self._one(), 8)))
        elif kind < 0.7:
            self._rr(f"CMOV{condition}_R64_RM64", self._one(), self._one())
        elif kind < 0.9:
            bits = rng.choice(_BITS)
            name = rng.choice(("ADC", "SBB"))
            self._rr(f"{name}_R{bits}_RM{bits}", self._one(), self._one(), bits)
        else:
            self._put(Instruction.create(Code.PUSHFQ))

    def _stack(self) -> None:
        rng = self._rng
        kind = rng.random()
        if kind < 0.3:
            self._put(Instruction.create_reg(Code.PUSH_R64, Register.RAX + self._one()))
        elif kind < 0.6:
            self._put(Instruction.create_reg(Code.POP_R64, Register.RAX + self._one()))
        elif kind < 0.8:
            code = rng.choice((Code.ADD_RM64_IMM8, Code.SUB_RM64_IMM8))
            self._put(Instruction.create_reg_i32(code, Register.RSP, 8))
        elif kind < 0.9:
            self._rr(rng.choice(("CMP_R64_RM64", "MOV_R64_RM64")), self._one(), RSP)
        else:
            place = MemoryOperand(
                Register.RSP, Register.NONE, 1, rng.choice((-8, 8)), 1
            )
            code = Code.LEA_R64_M
            self._put(Instruction.create_reg_mem(code, Register.RSP, place))

    def _call(self) -> None:
        """A function of its own, mostly."""
        if len(self._items) > _LONG:
            return
        if not self._called or self._rng.random() < 0.8:
            self._called.append(_FIRST_LABEL + len(self._items) + 1)
        self._put(Instruction.create_branch(Code.CALL_REL32_64, self._called[-1]))

    def _function(self, label: int) -> None:
        """It keeps rsp, unless its steps do not."""
        rng = self._rng
        self._next_label = label
        self._put(Instruction.create(Code.NOPD))
        kept = [self._one() for _ in range(rng.randrange(3))]
        room = 8 * rng.randrange(4)
        for register in kept:
            self._put(Instruction.create_reg(Code.PUSH_R64, Register.RAX + register))
        if room:
            self._put(
                Instruction.create_reg_i32(Code.SUB_RM64_IMM8, Register.RSP, room)
            )
        weights = self._weights
        if rng.random() < 0.7:
            # Without what moves rsp or stores anywhere.
            self._weights = [
                weight if at not in (1, 4) else 0 for at, weight in enumerate(weights)
            ]
        self._steps(rng.randint(0, 3))
        if rng.random() < 0.5:
            self._tamper(room + 8 * len(kept))
            self._steps(rng.randint(0, 1))
        self._weights = weights
        if room:
            self._put(
                Instruction.create_reg_i32(Code.ADD_RM64_IMM8, Register.RSP, room)
            )
        for register in reversed(kept):
            self._put(Instruction.create_reg(Code.POP_R64, Register.RAX + register))
        self._put(Instruction.create(Code.RETNQ))

    def _tamper(self, at: int) -> None:
        """Store to the return address, or beside it; it is ``at`` bytes above rsp."""
        rng, register = self._rng, self._one()
        at += rng.choice((0, 0, 0, 0, -8, 8, 1, -1, 7, -7))
        kind = rng.random()
        place = MemoryOperand(Register.RSP, Register.NONE, 1, at, 8)
        bits = rng.choice((64, 64, 8))
        if kind < 0.3:
            code = getattr(Code, f"MOV_RM{bits}_R{bits}")
            self._put(Instruction.create_mem_reg(code, place, _sized(register, bits)))
        elif kind < 0.5:
            code = getattr(Code, f"ADD_RM{bits}_IMM8")
            self._put(Instruction.create_mem_i32(code, place, rng.choice((0, 1))))
        elif kind < 0.8:
            pointer = Register.RAX + self._near(self._base)
            self._put(Instruction.create_reg_mem(Code.LEA_R64_M, pointer, place))
            place = MemoryOperand(pointer, Register.NONE, 1, 0, 0)
            code = getattr(Code, f"MOV_RM{bits}_R{bits}")
            self._put(Instruction.create_mem_reg(code, place, _sized(register, bits)))
        elif kind < 0.87:
            # Another stack.
            name = rng.choice(("MOV_R64_RM64", "XCHG_RM64_R64"))
            self._rr(name, *((RSP, register) if name[0] == "M" else (register, RSP)))
        elif kind < 0.94:
            # Somewhere else on this one.
            self._rr("CMP_R64_RM64", register, RSP)
            self._put(Instruction.create_reg_i32(Code.SUB_RM64_IMM8, Register.RSP, 8))
        else:
            self._put(Instruction.create_mem(Code.POP_RM64, place))
            self._put(Instruction.create_reg_i32(Code.SUB_RM64_IMM8, Register.RSP, 8))

    def _branch(self) -> None:
        """Over the next few steps."""
        rng = self._rng
        conditions = _CONDITIONS
        if rng.random() < 0.1:
            self._cancels()
            conditions = "E", "NE"
        label = _FIRST_LABEL + len(self._items) + 1
        code = getattr(Code, f"J{rng.choice(conditions)}_REL32_64")
        self._put(Instruction.create_branch(code, label))
        self._open[label] = rng.randint(1, 3)

    def _cancels(self) -> None:
        """A sum of zero: where a compare finds one, it has no carry."""
        register, other = self._rng.sample(self._few, 2)
        self._rr("MOV_R64_RM64", register, other)
        self._put(Instruction.create_reg(Code.NEG_RM64, _sized(register, 64)))
        self._rr("ADD_R64_RM64", register, other)

    def _moves_on(self) -> None:
        """A pointer moves, maybe out of what is known of it."""
        step = self._rng.choice((8, 64, -64, 0x200, 0x400, 0x8000, -0x8000))
        register = Register.RAX + self._near(self._base)
        code = self._rng.choice((Code.ADD_RM64_IMM32, Code.SUB_RM64_IMM32))
        if self._rng.random() < 0.3:
            # Down to a multiple, mostly.
            code, step = Code.AND_RM64_IMM32, -(1 << self._rng.randrange(22))
            step += self._rng.choice((0, 0, 0, 1, -8))
        self._put(Instruction.create_reg_i32(code, register, step))

    def _narrows(self) -> None:
        """A register becomes small enough for an index."""
        register = self._near(self._index)
        self._rr("MOV_R32_RM32", register, register, 32)

    def _loop(self, count: int) -> None:
        """Some steps, a few times."""
        rng = self._rng
        free = [n for n in range(16) if n not in self._few and n != RSP]
        counter = Register.EAX + rng.choice(free)
        self._put(
            Instruction.create_reg_i32(Code.MOV_R32_IMM32, counter, rng.randint(1, 5))
        )
        self._next_label = _TOP
        self._put(Instruction.create(Code.NOPD))
        self._steps(count)
        if rng.random() < 0.5:
            self._put(Instruction.create_reg(Code.DEC_RM32, counter))
        else:
            self._put(Instruction.create_reg_i32(Code.SUB_RM32_IMM8, counter, 1))
        self._put(Instruction.create_branch(Code.JNE_REL32_64, _TOP))

    def _leave(self) -> None:
        """Most run into the system call, the others leave before it."""
        rng = self._rng
        kind = rng.random()
        if kind < 0.6:
            return
        if kind < 0.75:
            self._put(Instruction.create(Code.RETNQ))
        elif kind < 0.85:
            code = rng.choice((Code.JMP_RM64, Code.CALL_RM64))
            self._put(Instruction.create_reg(code, Register.RAX + self._one()))
        elif kind < 0.9:
            code = rng.choice((Code.JMP_RM64, Code.CALL_RM64))
            self._put(Instruction.create_mem(code, self._place()))
        else:
            self._put(Instruction.create(Code.CPUID))

    def _others(self) -> None:
        """Uses of all other registers, so that the tested ones lose their host
        registers.
        """
        if self._rng.random() < 0.15:
            return
        for register in range(16):
            if register in self._few or register == RSP:
                continue
            full = Register.RAX + register
            place = MemoryOperand(full, Register.NONE, 1, 1, 1)
            for _ in range(_USES // 2):
                self._put(Instruction.create_reg_mem(Code.LEA_R64_M, full, place))


def _sized(register: int, bits: int) -> int:
    """iced's register of ``bits`` bits; of 8 the lowest."""
    if bits == 64:
        return Register.RAX + register
    if bits == 32:
        return Register.EAX + register
    if bits == 16:
        return Register.AX + register
    return Register.AL + register if register < 4 else Register.SPL - 4 + register
