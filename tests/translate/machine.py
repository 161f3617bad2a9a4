# SPDX-License-Identifier: GPL-2.0-only
"""Run user code natively and translated, in an emulator, and compare.

The kernel's part is played here: entries, dispatches, exits and faults, exactly
as docs/abi.md says. After each dispatch the registers that a C function may change
hold junk, and so do the flags, so that code that relies on them is found out.
"""

from __future__ import annotations

import contextlib
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import unicorn
from unicorn import x86_const as ux

from ubypass.abi import (
    FRAME_EXIT,
    FRAME_FLAGS,
    FRAME_FSBASE,
    FRAME_LIMIT,
    FRAME_REGS,
    FRAME_SYSFLAGS,
    FRAME_TARGET,
    REGS_OFFSET,
    TASK_SIZE_MIN,
    Abi,
    Exit,
    ExitFlag,
    Translation,
)

NAMES = (
    *("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"),
    *("r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"),
)
_REG = {name: getattr(ux, f"UC_X86_REG_{name.upper()}") for name in NAMES}
_ALL = [_REG[name] for name in NAMES]
_VECTORS = [getattr(ux, f"UC_X86_REG_XMM{number}") for number in range(16)]
MASK = (1 << 64) - 1
ARITHMETIC = 0x8D5
_USER_FLAGS = 0x202
# Set in kernel mode while user memory may be accessed.
_AC = 0x40000

#: Where the kernel's things are: not in the upper half, where the emulator
#: cannot run code.
CODE = 0x9000_0000_0000
STACK = 0xA000_0000_0000
REGS = STACK + 0x3000
RSP = REGS - FRAME_REGS
LEAVE = 0x9000_1000_0000
_PAGE = 4096
# String instructions that repeat and leave the flags alone.
_REPEATING = re.compile(b"[\xf2\xf3]\x66?\x48?[\xa4\xa5\xaa-\xad]", re.DOTALL)
_CALLER = ("rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11")


@dataclass
class User:
    """A user process: memory by page-aligned address, registers, ip, flags."""

    memory: Mapping[int, bytes]
    regs: dict[str, int]
    ip: int
    flags: int = 0
    fsbase: int = 0
    vectors: tuple[int, ...] = (0,) * 16
    #: Start addresses of what cannot be written.
    code: frozenset[int] = frozenset()


@dataclass
class Outcome:
    """Where a translation left: the exit, the state then, what it did before."""

    exit: Exit
    regs: dict[str, int]
    flags: int
    dispatched: int
    writes: list[tuple[int, int, int]] = field(default_factory=list)
    target: int = 0
    #: The emulator ran an instruction twice, the first time perhaps in part: it does
    #: so with some locked and misaligned accesses. Nothing can be concluded then.
    doubtful: bool = False
    #: User memory then.
    memory: dict[int, bytes] = field(default_factory=dict)
    #: Host instructions executed, those of a dispatch counting none.
    executed: int = 0
    vectors: tuple[int, ...] = ()


def syscall_result(nr: int, args: tuple[int, ...], number: int) -> int:
    """What the pretended kernel answers: depends on everything it is given."""
    value = (nr * 0x9E3779B97F4A7C15 + number) & MASK
    for argument in args:
        value = ((value ^ argument) * 0xBF58476D1CE4E5B9) & MASK
    # Sometimes small, sometimes an error, never a restart code.
    kind = value >> 62
    if kind == 0:
        return -(value % 133 + 1) & MASK
    return value % 4096 if kind < 3 else value & 0xFFFF_FFFF


def _map(engine: Any, user: User) -> None:
    for address, content in user.memory.items():
        assert address % _PAGE == 0
        size = -(-len(content) // _PAGE) * _PAGE
        allowed = unicorn.UC_PROT_ALL
        if address in user.code:
            allowed &= ~unicorn.UC_PROT_WRITE
        engine.mem_map(address, size, allowed)
        engine.mem_write(address, content)


def _read_memory(engine: Any, user: User) -> dict[int, bytes]:
    return {
        start: bytes(engine.mem_read(start, len(content)))
        for start, content in user.memory.items()
    }


def _read_vectors(engine: Any) -> tuple[int, ...]:
    return tuple(engine.reg_read(register) for register in _VECTORS)


def _write_vectors(engine: Any, user: User) -> None:
    # Unicorn starts with SSE shut.
    engine.reg_write(ux.UC_X86_REG_CR4, 0x600)
    for register, value in zip(_VECTORS, user.vectors, strict=True):
        engine.reg_write(register, value)


def _log(
    writes: list[tuple[int, int, int]], user: User, address: int, size: int, value: int
) -> None:
    """Note a write, unless it is going to fault.

    The emulator may report one write twice; doing it twice changes nothing.
    """
    write = (address, size, value & ((1 << 8 * size) - 1))
    there = any(
        start <= address and address + size <= start + len(content)
        for start, content in user.memory.items()
        if start not in user.code
    )
    if there and writes[-1:] != [write]:
        writes.append(write)


class Unexpected(AssertionError):
    """Generated code did something it must not do."""


class Translated:
    """Runs a translation, playing the module."""

    def __init__(self, translation: Translation, user: User, abi: Abi) -> None:
        self.translation = translation
        self.user = user
        self.abi = abi
        self.writes: list[tuple[int, int, int]] = []
        self.executed = 0
        engine = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
        self.engine = engine
        _map(engine, user)
        code = bytearray(translation.code)
        for at in translation.jumps:
            code[at : at + 4] = ((LEAVE - CODE) - at - 4).to_bytes(
                4, "little", signed=True
            )
        for dispatch in translation.dispatches:
            # Never executed: the emulator stops at the first byte.
            code[dispatch.code_offset] = 0x90
        engine.mem_map(CODE, -(-len(code) // _PAGE) * _PAGE, unicorn.UC_PROT_ALL)
        engine.mem_write(CODE, bytes(code))
        engine.mem_map(STACK, 0x4000)
        engine.mem_map(LEAVE, _PAGE)
        engine.hook_add(unicorn.UC_HOOK_MEM_WRITE, self._wrote)
        engine.hook_add(unicorn.UC_HOOK_MEM_READ, self._read)
        engine.hook_add(unicorn.UC_HOOK_CODE, self._step)
        engine.hook_add(unicorn.UC_HOOK_INTR, self._interrupt)
        self._faults = {f.code_offset: f.fixup_offset for f in translation.faults}
        self._dispatches = {d.code_offset: d for d in translation.dispatches}
        self._trap = False
        self._flags = 0
        self._at = self._count = -1
        self.doubtful = False
        self._size = (
            abi.dispatch_vector_size if translation.vector else abi.dispatch_size
        )

    def _wrote(
        self, engine: Any, access: int, address: int, size: int, value: int, data: Any
    ) -> None:
        if address < TASK_SIZE_MIN:
            self._check_fault(address)
            _log(self.writes, self.user, address, size, value)
        elif not (address >= RSP - 8 and address + size <= REGS + 168):
            raise Unexpected(f"write to {address:#x} at {self._where()}")

    def _read(
        self, engine: Any, access: int, address: int, size: int, value: int, data: Any
    ) -> None:
        if address < TASK_SIZE_MIN:
            self._check_fault(address)
        elif CODE <= address < CODE + len(self.translation.code):
            if address < CODE + self.translation.constants:
                raise Unexpected(f"read of code at {self._where()}")
        elif not (address >= RSP - 8 and address + size <= REGS + 168):
            raise Unexpected(f"read of {address:#x} at {self._where()}")

    def _check_fault(self, address: int) -> None:
        if self._at not in self._faults:
            self._problem = f"access to {address:#x} without fault entry"
            self.engine.emu_stop()

    def _where(self) -> str:
        return f"+{self._at:#x}"

    _problem = ""

    def _step(self, engine: Any, address: int, size: int, data: Any) -> None:
        # No generated instruction jumps to itself, but some repeat and count.
        count = engine.reg_read(ux.UC_X86_REG_RCX)
        self.doubtful |= self._at == address - CODE and self._count == count
        self._at, self._count = address - CODE, count
        if address == LEAVE or self._at in self._dispatches:
            engine.emu_stop()
        else:
            self.executed += 1
            if self._at in self._faults:
                # The emulator forgets flags in flight when a fault comes.
                self._flags = engine.reg_read(ux.UC_X86_REG_EFLAGS)
                if not self._flags & _AC:
                    self._problem = f"SMAP is shut at {self._where()}"

    def _interrupt(self, engine: Any, number: int, data: Any) -> None:
        if number not in (0, 13, 14):
            self._problem = f"interrupt {number} at {self._where()}"
        self._trap = True
        engine.emu_stop()

    def _slot(self, offset: int) -> int:
        return int.from_bytes(self.engine.mem_read(RSP + offset, 8), "little")

    def _set_slot(self, offset: int, value: int) -> None:
        self.engine.mem_write(RSP + offset, (value & MASK).to_bytes(8, "little"))

    def run(
        self,
        resume: int,
        dispatches: int,
        budget: int = 100_000,
        leave: str = "",
        junk: random.Random | None = None,
    ) -> Outcome:
        """Enter at ``resume``; after ``dispatches`` of them the kernel has work.

        ``leave`` "before" or "after" says when it is noticed.
        """
        junk = junk or random.Random(1)
        engine, user = self.engine, self.user
        self.writes = []
        for name, value in user.regs.items():
            if name in REGS_OFFSET:
                self._set_slot(FRAME_REGS + REGS_OFFSET[name], value)
        # Neither is stored at an entry.
        self._set_slot(FRAME_REGS + REGS_OFFSET["rcx"], junk.getrandbits(64))
        self._set_slot(FRAME_REGS + REGS_OFFSET["r11"], junk.getrandbits(64))
        self._set_slot(FRAME_LIMIT, TASK_SIZE_MIN)
        self._set_slot(FRAME_FSBASE, user.fsbase)
        self._set_slot(FRAME_FLAGS, 0x202)
        self._set_slot(FRAME_SYSFLAGS, user.flags | _USER_FLAGS)
        self._set_slot(FRAME_EXIT, budget << 32)
        for register in _ALL:
            engine.reg_write(register, junk.getrandbits(64))
        engine.reg_write(ux.UC_X86_REG_RSP, RSP)
        engine.reg_write(ux.UC_X86_REG_EFLAGS, _AC | 0x202)
        #: The module's copy of SYSFLAGS as of the last dispatch.
        self._r11 = user.flags
        engine.reg_write(ux.UC_X86_REG_FS_BASE, user.fsbase)
        _write_vectors(engine, user)
        offsets = {e.user_ip: e.code_offset for e in self.translation.entries}
        at = offsets[resume]
        done = 0
        while True:
            at = self._go(at)
            if at + CODE == LEAVE:
                return self._outcome(done)
            if at in self._dispatches:
                dispatch = self._dispatches[at]
                self._spoil(junk, ("r11",))
                if done == dispatches and leave == "before":
                    at = dispatch.pre_offset
                    continue
                done += 1
                self._r11 = self._slot(FRAME_SYSFLAGS)
                count = self.abi.args[dispatch.nr]
                args = tuple(
                    self._slot(FRAME_REGS + REGS_OFFSET[name])
                    for name in ("rdi", "rsi", "rdx", "r10", "r8", "r9")[:count]
                )
                self._spoil(junk, _CALLER)
                engine.reg_write(_REG["rax"], syscall_result(dispatch.nr, args, done))
                self._set_slot(FRAME_EXIT, budget << 32)
                if done >= dispatches and leave != "before":
                    at = dispatch.post_offset
                else:
                    at += self._size
                continue
            if not self._trap:
                raise Unexpected(f"stopped at +{at:#x}")

    def _spoil(self, junk: random.Random, names: tuple[str, ...]) -> None:
        for name in names:
            self.engine.reg_write(_REG[name], junk.getrandbits(64))
        flags = _AC | 0x202 | junk.getrandbits(12) & ARITHMETIC
        self.engine.reg_write(ux.UC_X86_REG_EFLAGS, flags)

    def _go(self, at: int) -> int:
        """Run on from offset ``at`` until something happens; the new offset."""
        engine = self.engine
        self._trap = False
        try:
            engine.emu_start(CODE + at, 0, count=2_000_000)
        except unicorn.UcError as error:
            self._trap = True
            if error.errno not in (
                unicorn.UC_ERR_READ_UNMAPPED,
                unicorn.UC_ERR_WRITE_UNMAPPED,
                unicorn.UC_ERR_WRITE_PROT,
                unicorn.UC_ERR_EXCEPTION,
            ):
                raise Unexpected(f"{error} at {self._where()}") from error
        if self._problem:
            raise Unexpected(self._problem)
        if engine.reg_read(ux.UC_X86_REG_RSP) != RSP:
            raise Unexpected(f"rsp moved at {self._where()}")
        if self._trap:
            if self._at not in self._faults:
                raise Unexpected(f"fault without a fixup at {self._where()}")
            self.executed -= 1
            engine.reg_write(ux.UC_X86_REG_EFLAGS, self._flags)
            return self._faults[self._at]
        return self._at

    def _outcome(self, done: int) -> Outcome:
        engine = self.engine
        if engine.reg_read(ux.UC_X86_REG_RSP) != RSP:
            raise Unexpected("rsp moved")
        number = self._slot(FRAME_EXIT) & 0xFFFF_FFFF
        leave = self.translation.exits[number]
        regs = {n: self._slot(FRAME_REGS + at) for n, at in REGS_OFFSET.items()}
        flags = engine.reg_read(ux.UC_X86_REG_EFLAGS)
        if leave.flags & ExitFlag.SLOT_FLAGS:
            flags = self._slot(FRAME_FLAGS)
        elif leave.flags & ExitFlag.SLOT_SYSFLAGS:
            flags = self._slot(FRAME_SYSFLAGS)
        if leave.flags & ExitFlag.CX_SYS:
            regs["rcx"] = leave.cx
        if leave.flags & ExitFlag.R11_SYS:
            regs["r11"] = self._r11 & ARITHMETIC | _USER_FLAGS
        target = self._slot(FRAME_TARGET) if leave.flags & ExitFlag.TARGET else 0
        return Outcome(
            exit=leave,
            regs=regs,
            flags=flags & ARITHMETIC,
            dispatched=done,
            writes=self.writes,
            target=target,
            doubtful=self.doubtful,
            memory=_read_memory(engine, self.user),
            executed=self.executed,
            vectors=_read_vectors(engine),
        )


@dataclass
class Moment:
    """What the native run looked like before some instruction."""

    regs: dict[str, int]
    flags: int
    writes: int
    vectors: tuple[int, ...]


class Native:
    """Runs user code itself, answering its system calls the same way."""

    def __init__(self, user: User, abi: Abi, limit: int = 50_000) -> None:
        self.user = user
        self.abi = abi
        self._limit = limit
        self.writes: list[tuple[int, int, int]] = []
        self.moments: list[Moment] = []
        self.steps = 0
        self._flags = 0

    def run(self, stop_ip: int, dispatched: int, visits: int = 2000) -> list[Moment]:
        """All moments at ``stop_ip`` between system call number ``dispatched`` and
        the next one, at most ``visits``.
        """
        user = self.user
        engine = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
        self._engine = engine
        self._stop, self._want, self._visits = stop_ip, dispatched, visits
        self._done = 0
        self._at = self._count = -1
        self._kept: int | None = None
        self.doubtful = False
        self.writes, self.moments, self.steps = [], [], 0
        _map(engine, user)
        engine.hook_add(unicorn.UC_HOOK_MEM_WRITE, self._wrote)
        engine.hook_add(unicorn.UC_HOOK_CODE, self._step)
        engine.hook_add(
            unicorn.UC_HOOK_INSN,
            self._syscall,
            None,
            1,
            0,
            ux.UC_X86_INS_SYSCALL,
        )
        for name, value in user.regs.items():
            engine.reg_write(_REG[name], value)
        engine.reg_write(ux.UC_X86_REG_RCX, user.ip)
        engine.reg_write(ux.UC_X86_REG_R11, user.flags & ARITHMETIC | _USER_FLAGS)
        engine.reg_write(ux.UC_X86_REG_EFLAGS, user.flags & ARITHMETIC | _USER_FLAGS)
        engine.reg_write(ux.UC_X86_REG_FS_BASE, user.fsbase)
        _write_vectors(engine, user)
        with contextlib.suppress(unicorn.UcError):
            engine.emu_start(user.ip, 0, count=self._limit)
        return self.moments

    def memory(self) -> dict[int, bytes]:
        """User memory where the last run stopped."""
        return _read_memory(self._engine, self.user)

    def _wrote(
        self, engine: Any, access: int, address: int, size: int, value: int, data: Any
    ) -> None:
        _log(self.writes, self.user, address, size, value)

    def _step(self, engine: Any, address: int, size: int, data: Any) -> None:
        self.steps += 1
        # The emulator mixes up flags while an instruction repeats itself.
        instruction = bytes(engine.mem_read(address, size))
        repeats = _REPEATING.match(instruction) is not None
        count = engine.reg_read(ux.UC_X86_REG_RCX)
        if self._at == address:
            self.doubtful |= self._count == count
        elif self._kept is not None:
            engine.reg_write(ux.UC_X86_REG_EFLAGS, self._kept)
            self._kept = None
        if repeats and self._kept is None:
            self._kept = engine.reg_read(ux.UC_X86_REG_EFLAGS)
        self._at, self._count = address, count
        if size == 2 and engine.mem_read(address, 2) == b"\x0f\x05":
            # Flags in flight are not visible to the other hook.
            self._flags = engine.reg_read(ux.UC_X86_REG_EFLAGS)
        if self._done > self._want or len(self.moments) >= self._visits:
            engine.emu_stop()
        elif address == self._stop and self._done == self._want:
            if len(self.moments) + 1 >= self._visits:
                engine.emu_stop()
            values = engine.reg_read_batch(_ALL)
            flags = engine.reg_read(ux.UC_X86_REG_EFLAGS) & ARITHMETIC
            self.moments.append(
                Moment(
                    dict(zip(NAMES, values, strict=True)),
                    flags,
                    len(self.writes),
                    _read_vectors(engine),
                )
            )

    def _syscall(self, engine: Any, data: Any) -> None:
        if self._done == self._want:
            self._done += 1
            engine.emu_stop()
            return
        self._done += 1
        regs = dict(zip(NAMES, engine.reg_read_batch(_ALL), strict=True))
        nr = regs["rax"] & 0xFFFF_FFFF
        count = self.abi.args.get(nr, 0)
        args = tuple(
            regs[name] for name in ("rdi", "rsi", "rdx", "r10", "r8", "r9")[:count]
        )
        engine.reg_write(_REG["rax"], syscall_result(nr, args, self._done))
        # Unicorn calls the hook before it moves on.
        engine.reg_write(_REG["rcx"], engine.reg_read(ux.UC_X86_REG_RIP) + 2)
        engine.reg_write(ux.UC_X86_REG_EFLAGS, self._flags)
        engine.reg_write(_REG["r11"], self._flags & ARITHMETIC | _USER_FLAGS)


def differences(outcome: Outcome, native: Native, live: int | None) -> list[str]:
    """Why the translated run cannot have been the native one; empty: it can.

    ``live`` are the flags (eflags bits) that must be right.
    """
    moments = native.run(outcome.exit.user_ip, outcome.dispatched)
    if not moments:
        return [f"native code never gets to {outcome.exit.user_ip:#x}"]
    best: list[str] = []
    for number, moment in enumerate(moments):
        found = []
        for name in NAMES:
            if outcome.regs[name] != moment.regs[name]:
                found.append(
                    f"{name} is {outcome.regs[name]:#x}, not {moment.regs[name]:#x}"
                )
        mask = ARITHMETIC if live is None else live
        if (outcome.flags ^ moment.flags) & mask:
            found.append(f"flags are {outcome.flags:#x}, not {moment.flags:#x}")
        if outcome.vectors != moment.vectors:
            found.append("vector registers differ")
        # The emulator sometimes forgets to report writes after a locked
        # instruction; what memory holds in the end decides then.
        if outcome.writes != native.writes[: moment.writes] and not found:
            again = Native(native.user, native.abi)
            again.run(outcome.exit.user_ip, outcome.dispatched, number + 1)
            if again.memory() != outcome.memory:
                found.append("memory was written differently")
        if not found:
            return []
        if not best or len(found) < len(best):
            best = found
    return best
