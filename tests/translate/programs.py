# SPDX-License-Identifier: GPL-2.0-only
"""Random user programs that make system calls, as assembly text.

Small functions that call one another, loops, tables of jump targets, accesses
through pointers that are usually right. Everything follows from the seed.
"""

from __future__ import annotations

import random

_64 = (
    *("rax", "rcx", "rdx", "rbx", "rbp", "rsi", "rdi"),
    *("r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"),
)
_LEGACY = {"rax": "a", "rcx": "c", "rdx": "d", "rbx": "b"}
_CC = ["o", "no", "b", "ae", "e", "ne", "be", "a"]
_CC += ["s", "ns", "p", "np", "l", "ge", "le", "g"]

_TWO = ("mov", "mov", "add", "sub", "and", "or", "xor", "cmp", "test", "adc", "sbb")

#: The data a program may use, and its stack.
DATA, DATA_SIZE = 0x7F00_0001_0000, 0x4000
STACK, STACK_SIZE = 0x7FFE_0000_0000, 0x4000
THREAD, THREAD_SIZE = 0x7F00_0002_0000, 0x1000


def sized(register: str, size: int) -> str:
    """The name of ``size`` bytes of a 64-bit register."""
    if size == 8:
        return register
    if register in _LEGACY:
        letter = _LEGACY[register]
        return {4: f"e{letter}x", 2: f"{letter}x", 1: f"{letter}l"}[size]
    if register[1].isdigit():
        return register + {4: "d", 2: "w", 1: "b"}[size]
    return {4: "e" + register[1:], 2: register[1:], 1: register[1:] + "l"}[size]


class Program:
    """Writes one program."""

    def __init__(self, seed: int, data: int = DATA, gate: bool = False) -> None:
        """``gate``: most calls are made by one instruction, as in static programs."""
        self.random = random.Random(seed)
        self._place = data
        self.lines: list[str] = []
        self._label = 0
        names = list(_64)
        self.random.shuffle(names)
        # Registers that usually hold addresses; the rest is for data.
        self.pointers = names[: self.random.randint(2, 4)]
        self.pointers = [p for p in self.pointers if p not in ("rax", "rcx")]
        self.pointers = self.pointers or ["r8"]
        self.data = [n for n in _64 if n not in self.pointers]
        self.functions = self.random.randint(1, 4)
        self.vectors = self.random.random() < 0.3
        #: Labels after system calls, and their numbers.
        self.resumes: list[tuple[str, int]] = [("start", 39)]
        self._gate = gate

    def text(self) -> str:
        """The program; ``start`` is its first resume address."""
        self.lines = ["first:", "mov eax, 39", "syscall", "start:"]
        self._body(8, 0)
        self._syscall()
        self.emit("jmp first")
        for number in range(self.functions):
            self._function(number)
        if self._gate:
            self._wrapper()
        self.lines += [".balign 8", "table:"]
        self.lines += [f".quad f{n}" for n in range(self.functions)]
        return "\n".join(self.lines) + "\n"

    def emit(self, line: str) -> None:
        self.lines.append(line)

    def _new_label(self) -> str:
        self._label += 1
        return f"l{self._label}"

    def _any(self) -> str:
        return self.random.choice(self.data)

    def _source(self) -> str:
        return self.random.choice(_64)

    def _function(self, number: int) -> None:
        self.emit(f"f{number}:")
        rng = self.random
        if rng.random() < 0.2:
            self.emit("endbr64")
        frame = rng.random() < 0.3 and "rbp" in self.data
        saved = rng.sample(self.data, rng.randint(0, 3))
        saved = [s for s in saved if s != "rbp" or not frame]
        if frame:
            self.emit("push rbp")
            self.emit("mov rbp, rsp")
            hidden, self.data = self.data, [d for d in self.data if d != "rbp"]
        for register in saved:
            self.emit(f"push {register}")
        room = rng.choice((0, 0, 8, 24, 40))
        if room:
            self.emit(f"sub rsp, {room}")
        self._body(4, number + 1, room)
        if frame and rng.random() < 0.5:
            self.data = hidden
            self.emit("leave")
            self.emit("ret")
            return
        if room:
            self.emit(rng.choice((f"add rsp, {room}", f"lea rsp, [rsp+{room}]")))
        for register in reversed(saved):
            self.emit(f"pop {register}")
        if frame:
            self.data = hidden
            self.emit("pop rbp")
        self.emit("ret" if rng.random() < 0.9 else "rep ret")

    def _body(self, size: int, level: int, room: int = 0) -> None:
        rng = self.random
        for _ in range(rng.randint(2, size)):
            kind = rng.random()
            if kind < 0.45:
                for _ in range(rng.randint(1, 4)):
                    self._plain(room)
            elif kind < 0.5 and self.vectors:
                for _ in range(rng.randint(1, 4)):
                    self._vector()
            elif kind < 0.60:
                self._if(level, room)
            elif kind < 0.68:
                self._loop(level, room)
            elif kind < 0.80 and level < self.functions:
                callee = rng.randrange(level, self.functions)
                if rng.random() < 0.3:
                    self._call_indirect(callee)
                else:
                    self.emit(f"call f{callee}")
            elif kind < 0.90:
                self._syscall()
            elif kind < 0.92:
                self._string()
            elif kind < 0.94:
                self._one(sized(self._any(), 4), "", 4)
                self._memory(room)
                self._shift(sized(self._any(), 4), "", 4)
                self.emit(f"set{rng.choice(_CC)} {sized(self._any(), 1)}")
            elif kind < 0.97:
                rng.choice((self._thread, self._copies))()
            else:
                self._memory(room)

    def _thread(self) -> None:
        """Thread-local variables at the same offset, and at another one."""
        rng = self.random
        offset, to = self._any(), self._any()
        self.emit(f"mov {sized(offset, 4)}, {8 * rng.randint(0, 32)}")
        self.emit(f"mov {to}, fs:[{offset}+{8 * rng.randint(-4, 8)}]")
        if rng.random() < 0.5:
            self.emit(
                rng.choice(
                    (f"add {offset}, 24", f"mov {sized(offset, 4)}, 40", "neg eax")
                )
            )
        self.emit(f"add {to}, fs:[{offset}+{8 * rng.randint(-2, 8)}]")

    def _copies(self) -> None:
        """One address in two registers, one of which may move on."""
        rng = self.random
        pointer, copy, to = rng.choice(self.pointers), self._any(), self._any()
        self.emit(f"mov {copy}, {pointer}")
        self.emit(f"mov {to}, [{rng.choice((copy, pointer))}+8]")
        if rng.random() < 0.6:
            moved = rng.choice((copy, copy, pointer))
            self.emit(rng.choice((f"add {moved}, 16", f"lea {moved}, [{moved}+8]")))
        self.emit(f"add {to}, [{pointer}+16]")
        self.emit(f"add {to}, [{copy}+16]")

    def _syscall(self) -> None:
        rng = self.random
        for register in ("rdi", "rsi", "rdx", "r10", "r8", "r9"):
            if register in self.data and rng.random() < 0.4:
                self.emit(f"mov {register}, {self._source()}")
        nr = rng.choice((0, 1, 17, 39, 110, 232, 44))
        if self._gate and rng.random() < 0.7:
            if rng.random() < 0.3:
                self._plain(0)
            # Whatever is in the upper half does not count.
            self.emit(f"mov eax, {nr}" if nr else "xor eax, eax")
            self.emit("call gate")
            self.resumes.append(("through", nr))
            return
        if rng.random() < 0.8:
            self.emit(f"mov eax, {nr}" if nr else "xor eax, eax")
        else:
            # The translator cannot see the number.
            self.emit(f"mov eax, {nr - 5}")
            self.emit("add eax, 5")
        self.emit("syscall")
        label = self._new_label()
        self.emit(f"{label}:")
        self.resumes.append((label, nr))
        if rng.random() < 0.5:
            label = self._new_label()
            self.emit("cmp rax, -4096")
            self.emit(f"jbe {label}")
            self._plain(0)
            self.emit(f"{label}:")

    def _wrapper(self) -> None:
        """The one instruction that makes most of the calls."""
        rng = self.random
        self.emit("gate:")
        if rng.random() < 0.5:
            self.emit("mov r11, rax")
            self.emit("cmp r11, 17")
            self.emit("mov rax, r11")
        if rng.random() < 0.3:
            self.emit("bts rax, 40")
        self.emit("syscall")
        self.emit("through:")
        if rng.random() < 0.5:
            self.emit("setc cl")
        self.emit("ret")

    def _if(self, level: int, room: int) -> None:
        rng = self.random
        other, end = self._new_label(), self._new_label()
        if rng.random() < 0.6:
            self.emit(f"{rng.choice(('cmp', 'test'))} {self._any()}, {self._any()}")
        else:
            self._plain(room)
        if rng.random() < 0.3:
            self.emit(f"mov {self._any()}, {self._source()}")
        if rng.random() < 0.4:
            self._memory(room)
        self.emit(f"j{rng.choice(_CC)} {other}")
        self._body(2, level, room)
        self.emit(f"jmp {end}")
        self.emit(f"{other}:")
        self._body(2, level, room)
        self.emit(f"{end}:")

    def _loop(self, level: int, room: int) -> None:
        rng = self.random
        counter = self._any()
        if counter == "rax":
            return
        top = self._new_label()
        hidden, self.data = self.data, [d for d in self.data if d != counter]
        self.emit(f"mov {sized(counter, 4)}, {rng.randint(1, 5)}")
        self.emit(f"{top}:")
        # System calls and functions may change rcx and others for good.
        for _ in range(rng.randint(1, 4)):
            rng.choice((self._plain, self._memory))(room)
        if counter not in ("rcx", "r11") and rng.random() < 0.4:
            self._syscall()
        self.emit(
            rng.choice((f"sub {sized(counter, 4)}, 1", f"dec {sized(counter, 4)}"))
        )
        self.emit(f"j{rng.choice(('ne', 'g'))} {top}")
        self.data = hidden

    def _call_indirect(self, callee: int) -> None:
        target = self._any()
        if self.random.random() < 0.5:
            self.emit(f"call qword ptr [rip+table+{8 * callee}]")
        else:
            self.emit(f"lea {target}, [rip+f{callee}]")
            self.emit(f"call {target}")

    def _plain(self, room: int) -> None:
        rng = self.random
        size = rng.choice((8, 8, 4, 4, 2, 1))
        to, other = sized(self._any(), size), sized(self._source(), size)
        # Flags of these would differ between emulator and itself: none do.
        rng.choice(
            (
                self._two,
                self._two,
                self._two,
                self._one,
                self._shift,
                self._wide,
                self._misc,
            )
        )(to, other, size)

    def _two(self, to: str, other: str, size: int) -> None:
        rng = self.random
        op = rng.choice(
            (
                "mov",
                "mov",
                "add",
                "sub",
                "and",
                "or",
                "xor",
                "cmp",
                "test",
                "adc",
                "sbb",
            )
        )
        if rng.random() < 0.4:
            limit = {1: 0x7F, 2: 0x7FFF}.get(size, 0x7FFFFFFF)
            value = rng.choice((0, 1, 8, limit, rng.randint(-limit, limit)))
            self.emit(f"{op} {to}, {value}")
        else:
            self.emit(f"{op} {to}, {other}")

    def _one(self, to: str, other: str, size: int) -> None:
        self.emit(f"{self.random.choice(('inc', 'dec', 'neg', 'not'))} {to}")

    def _shift(self, to: str, other: str, size: int) -> None:
        rng = self.random
        op = rng.choice(("shl", "shr", "sar", "rol", "ror", "rcl", "rcr"))
        count = rng.choice(("1", "cl", str(rng.randint(0, 31))))
        if count == "cl" and "rcx" in self.data and rng.random() < 0.5:
            # Then the flags stay as they are.
            self.emit(f"mov ecx, {rng.choice((0, 32, 64))}")
        self.emit(f"{op} {to}, {count}")

    def _wide(self, to: str, other: str, size: int) -> None:
        rng = self.random
        a, b = self._any(), self._source()
        size = rng.choice((8, 4, 2))
        a, b = sized(a, size), sized(b, size)
        op = rng.choice(
            (
                f"imul {a}, {b}",
                f"imul {a}, {b}, {rng.randint(-100, 100)}",
                f"cmov{rng.choice(_CC)} {a}, {b}",
                f"bsf {a}, {b}",
                f"bsr {a}, {b}",
                f"bt {a}, {b}",
                f"bts {a}, {rng.randint(0, 15)}",
                f"xchg {a}, {sized(self._any(), size)}",
                f"xadd {a}, {sized(self._any(), size)}",
                f"cmpxchg {a}, {sized(self._any(), size)}",
                f"shld {a}, {b}, {rng.randint(0, 15)}",
                f"shrd {a}, {b}, cl",
                f"tzcnt {a}, {b}",
                f"popcnt {a}, {b}",
            )
        )
        self.emit(op)

    def _misc(self, to: str, other: str, size: int) -> None:
        rng = self.random
        a, b = self._any(), self._source()
        ops = [
            f"set{rng.choice(_CC)} {sized(a, 1)}",
            f"movzx {sized(a, rng.choice((8, 4)))}, {sized(b, rng.choice((1, 2)))}",
            f"movsx {sized(a, rng.choice((8, 4)))}, {sized(b, rng.choice((1, 2)))}",
            f"movsxd {a}, {sized(b, 4)}",
            f"bswap {sized(a, rng.choice((8, 4)))}",
            f"lea {a}, [{b}+{rng.randint(-99, 99)}]",
            f"lea {sized(a, 4)}, [{b}+{self._any()}*{rng.choice((1, 2, 4, 8))}]",
            f"lea {a}, [{b}+{self._any()}*4+{rng.randint(-9999, 9999)}]",
            f"lea {a}, [rip+first]",
            f"lea {a}, [rsp+{rng.randint(0, 64)}]",
            f"mov {a}, rsp",
            "nop",
            "clc",
        ]
        if "rdx" in self.data:
            ops += [f"mul {sized(b, 4)}", f"imul {b}", "cdq", "cqo", "cwde", "cdqe"]
            if rng.random() < 0.2:
                ops += [f"div {sized(b, 4)}", f"idiv {sized(b, 8)}"]
        if "rbx" in self.data:
            ops += [
                "mov ah, bl",
                "add bh, al",
                "xor ch, dh" if "rcx" in self.data and "rdx" in self.data else "nop",
            ]
        op = rng.choice(ops)
        self.emit("nop" if op == "clc" else op)

    def _string(self) -> None:
        rng = self.random
        self.emit(f"lea rdi, [{rng.choice(self.pointers)}+{rng.randint(-64, 64)}]")
        size = rng.choice("bdq")
        copies = rng.random() < 0.4
        if copies:
            self.emit(f"mov rsi, {rng.choice(self.pointers)}")
        if rng.random() < 0.8:
            self.emit(f"mov ecx, {rng.choice((1, 2, 5, 32, 33))}")
            if rng.random() < 0.5:
                self._one(sized(self._any(), 4), "", 4)
            prefix = "rep "
        else:
            prefix = ""
        self.emit(f"{prefix}{'movs' if copies else 'stos'}{size}")

    def _vector(self) -> None:
        rng = self.random
        a, b = f"xmm{rng.randrange(16)}", f"xmm{rng.randrange(16)}"
        place = f"[{rng.choice(self.pointers)}+{rng.choice((0, 16, -32, 8))}]"
        register, source = self._any(), self._source()
        self.emit(
            rng.choice(
                (
                    f"movups {a}, {place}",
                    f"movdqu {place}, {a}",
                    f"movaps {a}, {b}",
                    f"movq {a}, {source}",
                    f"movq {register}, {a}",
                    f"movd {sized(register, 4)}, {a}",
                    f"movq qword ptr {place}, {a}",
                    f"movss {a}, dword ptr {place}",
                    f"pxor {a}, {b}",
                    f"paddd {a}, {b}",
                    f"pcmpeqb {a}, {b}",
                    f"pmovmskb {sized(register, 4)}, {a}",
                    f"pshufd {a}, {b}, {rng.randint(0, 255)}",
                    f"punpcklqdq {a}, {b}",
                    f"ptest {a}, {b}",
                    f"cvtsi2sd {a}, {source}",
                    f"cvttsd2si {register}, {a}",
                    f"addsd {a}, qword ptr {place}",
                    f"comisd {a}, {b}",
                    f"prefetcht0 {place}",
                )
            )
        )

    def _memory(self, room: int) -> None:
        """One access, usually to where there is memory."""
        rng = self.random
        size = rng.choice((8, 8, 4, 4, 2, 1))
        width = {8: "qword", 4: "dword", 2: "word", 1: "byte"}[size]
        where = rng.random()
        if where < 0.15:
            place = f"[rip+table+{rng.randint(0, 7)}]"
            loading = True
        elif where < 0.25:
            place, loading = f"fs:[{rng.choice((0, 0x10, 0x28, -16))}]", False
        elif where < 0.4 and room:
            place, loading = f"[rsp+{rng.randrange(0, room, 8)}]", False
        elif where < 0.55 and self.data:
            index = rng.choice([d for d in self.data if d not in ("rsp",)])
            self.emit(f"and {sized(index, 4)}, {rng.choice((7, 63, 255))}")
            pointer = rng.choice(self.pointers)
            place = f"[{pointer}+{index}*{rng.choice((1, 2, 4, 8))}"
            place += f"+{rng.randint(-64, 64)}]"
            loading = False
        else:
            pointer = rng.choice(self.pointers)
            place = f"[{pointer}+{rng.choice((0, 8, -8, 16, 100, -128, 300))}]"
            loading = False
            if rng.random() < 0.15:
                self.emit(f"{rng.choice(('add', 'sub'))} {pointer}, 8")
            if rng.random() < 0.05:
                place = f"[{self._source()}]"
            if rng.random() < 0.08:
                self.emit(f"lea {pointer}, [rip+table]")
                self.emit(f"mov {pointer}, {self._place + 8 * rng.randint(64, 512)}")
        register = sized(self._any(), size)
        other = sized(self._source(), size)
        ops = [
            f"mov {register}, {place}",
            f"{rng.choice(('add', 'xor', 'cmp', 'sbb', 'or'))} {register}, {place}",
        ]
        if size < 4:
            ops.append(f"movzx {sized(self._any(), 4)}, {width} ptr {place}")
        if size > 1:
            ops.append(f"cmov{rng.choice(_CC)} {register}, {place}")
        if not loading:
            ops += [
                f"mov {place}, {other}",
                f"mov {place}, {other}",
                f"mov {width} ptr {place}, {rng.randint(0, 100)}",
                f"{rng.choice(('add', 'sub', 'and', 'cmp', 'adc'))} {place}, {other}",
                f"{rng.choice(('inc', 'dec', 'neg', 'not'))} {width} ptr {place}",
                f"{rng.choice(('shl', 'ror', 'rcr'))} {width} ptr {place}, cl",
                f"lock xadd {place}, {register}",
                f"xchg {place}, {register}",
                f"lock cmpxchg {place}, {other}",
                f"lock or {place}, {other}",
            ]
            if size == 8:
                ops += [f"push {place}\npop {self._any()}"]
        self.emit(rng.choice(ops))
