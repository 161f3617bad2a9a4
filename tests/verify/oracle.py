# SPDX-License-Identifier: GPL-2.0-only
"""Runs generated code in an emulator and watches what it must never do.

Knows the contract (``docs/abi.md``) and nothing of how the verifier judges. The
kernel's part is played here: registers that hold kernel data hold sentinels.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import unicorn
from unicorn import x86_const as ux

from ubypass import abi
from ubypass.abi import Abi, Translation

_NAMES = (
    *("rax", "rcx", "rdx", "rbx", "rbp", "rsi", "rdi", "r8", "r9"),
    *("r10", "r11", "r12", "r13", "r14", "r15"),
)
_REG = {name: getattr(ux, f"UC_X86_REG_{name.upper()}") for name in _NAMES}
_CALLER_SAVED = ("rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11")
# Not in the upper half, which the emulator cannot run in.
_CODE = 0x9000_0000_0000
_LEAVE = 0x9000_1000_0000
_FRAME = 0xA000_0000_1000
_PAGE = 4096
_LIMIT = abi.TASK_SIZE_MIN
_FSBASE = 0x7F00_1234_5000
# The emulator reports unmapped addresses with this many bits.
_BITS = 52
_AC = 1 << 18
_BUDGET = 40
_STEPS = 500  # for each unit of budget: more than any cycle of these tests
_DISPATCHES = 6
_SENTINEL = 0xFFFF_9A5E_0000_0000
_SLOTS = [abi.FRAME_REGS + offset for offset in abi.REGS_OFFSET.values()]
_READ = {
    *_SLOTS,
    *(abi.FRAME_EXIT, abi.FRAME_LIMIT, abi.FRAME_FLAGS, abi.FRAME_SYSFLAGS),
    *(abi.FRAME_TARGET, abi.FRAME_FSBASE, abi.FRAME_TMP0, abi.FRAME_TMP1),
    *(abi.FRAME_TMP2, abi.FRAME_FIP),
}
_WRITE = _READ - {abi.FRAME_LIMIT, abi.FRAME_FSBASE}
# Values that user code may hold. None of them is a sentinel.
_POINTERS = (
    *(0, 1, 0x1000, 0x40_0000, 0x5555_5555_0000, _LIMIT - 8, _LIMIT, _LIMIT + 8),
    *(1 << 47, 0xFFFF_8880_0000_1000, 0xFFFF_FFFF_8100_0000, 0xFFFF_FFFF_FFE0_0000),
    *(0xFFFF_FFFF_FFDF_FFF8, 0xFFFF_FFFF_FFFF_FFFF, 0x7FFF_FFFF, 0xFFFF_FFFF),
    *(0x4000_0000_0000, 0x7FFF_7FFF_0000),
)


@dataclass
class Outcome:
    """What one run did; ``violation`` is "" when nothing was wrong."""

    violation: str = ""
    steps: int = 0
    dispatches: int = 0
    accesses: int = 0
    stores: list[int] = field(default_factory=list)


class Machine:
    """One run of a translation from one of its entries."""

    def __init__(
        self, translation: Translation, offer: Abi, seed: int, budget: int = _BUDGET
    ) -> None:
        self._budget = budget
        self._translation = translation
        self._offer = offer
        self._rng = random.Random(seed)
        self._out = Outcome()
        self._sentinels: set[int] = set()
        self._end = translation.constants
        self._dispatch = {
            _CODE + dispatch.code_offset: dispatch
            for dispatch in translation.dispatches
        }
        self._uc = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
        self._set_up()

    def run(self, entry: int) -> Outcome:
        """From code offset ``entry`` until it leaves, faults or goes wrong."""
        uc, out = self._uc, self._out
        start = _CODE + entry
        while not out.violation:
            try:
                uc.emu_start(start, _LEAVE, count=_STEPS * self._budget)
            except unicorn.UcError:
                # A fault: the module goes on at the fixup.
                at = uc.reg_read(ux.UC_X86_REG_RIP) - _CODE
                fixups = [
                    fault.fixup_offset
                    for fault in self._translation.faults
                    if fault.code_offset == at
                ]
                if not fixups:
                    out.violation = out.violation or f"fault without entry at {at:#x}"
                    break
                start = _CODE + fixups[0]
                continue
            at = uc.reg_read(ux.UC_X86_REG_RIP)
            if at == _LEAVE or out.violation:
                break
            if at not in self._dispatch:
                out.violation = "does not end"
                break
            start = self._after_dispatch(at)
        if not out.violation:
            self._check_exit()
        return out

    def _set_up(self) -> None:
        uc, rng, code = self._uc, self._rng, bytearray(self._translation.code)
        for place in self._translation.jumps:
            away = _LEAVE - (_CODE + place + 4)
            code[place : place + 4] = away.to_bytes(4, "little", signed=True)
        uc.mem_map(_CODE, (len(code) + _PAGE) & -_PAGE)
        uc.mem_write(_CODE, bytes(code))
        uc.mem_map(_LEAVE, _PAGE)
        uc.mem_map(_FRAME - _PAGE, 3 * _PAGE)
        for place in range(_FRAME - _PAGE, _FRAME + 2 * _PAGE, 8):
            uc.mem_write(place, self._sentinel().to_bytes(8, "little"))
        self._put(abi.FRAME_EXIT, 0xFFFF_FFFF | self._budget << 32)
        self._put(abi.FRAME_LIMIT, _LIMIT)
        self._put(abi.FRAME_FSBASE, _FSBASE)
        for slot in (abi.FRAME_FLAGS, abi.FRAME_SYSFLAGS):
            self._put(slot, 0x202 | rng.getrandbits(12) & 0x8D5)
        for slot in _SLOTS:
            self._put(slot, self._value())
        self._put(abi.FRAME_REGS + abi.REGS_OFFSET["rax"], self._number())
        self._put(abi.FRAME_REGS + abi.REGS_OFFSET["rsp"], 0x7FFF_7FFF_0000)
        for register in _REG.values():
            uc.reg_write(register, self._sentinel())
        uc.reg_write(ux.UC_X86_REG_RSP, _FRAME)
        uc.reg_write(ux.UC_X86_REG_EFLAGS, 0x202 | _AC)
        uc.reg_write(ux.UC_X86_REG_FS_BASE, _FSBASE)
        access = unicorn.UC_HOOK_MEM_READ | unicorn.UC_HOOK_MEM_WRITE
        unmapped = (
            unicorn.UC_HOOK_MEM_READ_UNMAPPED | unicorn.UC_HOOK_MEM_WRITE_UNMAPPED
        )
        uc.hook_add(access, self._on_access)
        uc.hook_add(unmapped, self._on_unmapped)
        uc.hook_add(unicorn.UC_HOOK_CODE, self._on_code)

    def _put(self, slot: int, value: int) -> None:
        self._uc.mem_write(_FRAME + slot, (value % (1 << 64)).to_bytes(8, "little"))

    def _value(self) -> int:
        rng = self._rng
        if rng.random() < 0.2:
            return rng.randrange(64)
        return rng.choice(_POINTERS) + rng.choice((0, 0, 8, -8, 4096))

    def _number(self) -> int:
        """For rax: often that of a call, or one that differs in upper bits."""
        numbers = sorted({dispatch.nr for dispatch in self._dispatch.values()})
        if not numbers or self._rng.random() < 0.5:
            return self._value()
        return self._rng.choice((0, 1 << 16, 1 << 32, 1 << 63)) | (
            self._rng.choice(numbers)
        )

    def _sentinel(self) -> int:
        value = _SENTINEL + self._rng.getrandbits(32)
        self._sentinels.add(value)
        return value

    def _after_dispatch(self, at: int) -> int:
        """What a handler leaves; where the code goes on."""
        uc, rng, out = self._uc, self._rng, self._out
        dispatch = self._dispatch[at]
        out.dispatches += 1
        if uc.reg_read(_REG["rax"]) & 0xFFFF_FFFF != dispatch.nr:
            self._wrong(f"makes call {dispatch.nr}, which is not the one in eax")
        if out.dispatches > _DISPATCHES:
            uc.reg_write(_REG["r11"], self._sentinel())
            return _CODE + dispatch.pre_offset
        for name in _CALLER_SAVED:
            uc.reg_write(_REG[name], self._sentinel())
        uc.reg_write(_REG["rax"], self._number() % (1 << 64))
        flags = 0x202 | _AC | rng.getrandbits(12) & 0x8D5
        uc.reg_write(ux.UC_X86_REG_EFLAGS, flags)
        uc.mem_write(_FRAME + abi.FRAME_BUDGET, self._budget.to_bytes(4, "little"))
        if rng.random() < 0.2:
            return _CODE + dispatch.post_offset
        offer, vector = self._offer, self._translation.vector
        return at + (offer.dispatch_vector_size if vector else offer.dispatch_size)

    def _wrong(self, what: str) -> None:
        self._out.violation = self._out.violation or what
        self._uc.emu_stop()

    def _on_code(self, uc: Any, address: int, size: int, _: Any) -> None:
        self._out.steps += 1
        if address in self._dispatch:
            uc.emu_stop()
        elif address != _LEAVE and not 0 <= address - _CODE < self._end:
            self._wrong(f"runs at {address:#x}")

    def _on_access(
        self, uc: Any, kind: int, address: int, size: int, value: int, _: Any
    ) -> None:
        self._out.accesses += 1
        write = kind == unicorn.UC_MEM_WRITE
        if _FRAME - 8 <= address < _FRAME + 2 * _PAGE:
            offset = address - _FRAME
            slot = offset & -8
            below = slot == -8  # pushfq and popfq
            if not below and slot not in (_WRITE if write else _READ):
                self._wrong(f"{'writes' if write else 'reads'} frame {offset:#x}")
            elif offset + size > slot + 8:
                self._wrong(f"{size} bytes at frame {offset:#x}")
            elif write and slot == abi.FRAME_EXIT and size != 4:
                self._wrong("writes the exit number and the budget at once")
            return
        constants = _CODE + self._translation.constants
        if constants <= address <= _CODE + len(self._translation.code) - size:
            if write:
                self._wrong("writes a constant")
            return
        if not self._is_user(address, size):
            self._wrong(f"accesses {address:#x}")
        elif write:
            self._out.stores.append(value % (1 << 64))

    def _on_unmapped(
        self, uc: Any, kind: int, address: int, size: int, value: int, _: Any
    ) -> bool:
        address &= (1 << 64) - 1
        if not self._is_user(address, size):
            self._wrong(f"accesses {address:#x}")
            return False
        if kind == unicorn.UC_MEM_WRITE_UNMAPPED:
            self._out.stores.append(value % (1 << 64))
        if address >= _LIMIT or self._rng.random() < 0.3:
            return False
        for page in {address & -_PAGE, (address + size - 1) & -_PAGE}:
            try:
                uc.mem_map(page, _PAGE)
            except unicorn.UcError:
                continue  # the second page was there
            words = (self._value() % (1 << 64) for _ in range(_PAGE // 8))
            uc.mem_write(page, b"".join(w.to_bytes(8, "little") for w in words))
        return True

    def _is_user(self, address: int, size: int) -> bool:
        """User space or the guards around it (docs/abi.md §6), SMAP open."""
        if not self._uc.reg_read(ux.UC_X86_REG_EFLAGS) & _AC:
            self._wrong("SMAP is shut")
        if address + size <= _LIMIT + abi.GUARD_FAR:
            return True
        top = (1 << 64) if address >> _BITS else (1 << _BITS)
        return address >= top + abi.GUARD_LOW

    def _check_exit(self) -> None:
        """At the exit path."""
        uc, out = self._uc, self._out
        if uc.reg_read(ux.UC_X86_REG_RSP) != _FRAME:
            out.violation = "rsp has moved"
        number = int.from_bytes(uc.mem_read(_FRAME, 4), "little")
        if number >= len(self._translation.exits):
            out.violation = "leaves without an exit number"
        shown = {
            int.from_bytes(uc.mem_read(_FRAME + slot, 8), "little") for slot in _SLOTS
        }
        if (shown | set(out.stores)) & self._sentinels:
            out.violation = "shows kernel data"
