# SPDX-License-Identifier: GPL-2.0-only
"""The registers and memory that the operands of one instruction read and write.

Operands come from capstone, their effects from the allow-list, addresses from
:mod:`.encoding`; redundant information must agree. Independent of instructions with a
role in the contract (:mod:`.patterns`).
"""

from __future__ import annotations

from typing import Final

from capstone import x86_const as cs

from ubypass import abi
from ubypass.verify import slots
from ubypass.verify.capstone_decoder import MEMORY, REGISTER, Operand
from ubypass.verify.encoding import RIP, Encoding
from ubypass.verify.errors import Refusal, Rule
from ubypass.verify.insn import NONE, Access
from ubypass.verify.predicates import defined, slot_defined
from ubypass.verify.prefixes import EVEX
from ubypass.verify.registers import ADDRESS, REGISTERS, RSP, VECTOR

__all__ = ["OperandEffects"]

_RCX, _RSI, _RDI = 1, 6, 7
_MAX_ACCESS = 64  # bytes; docs/abi.md §6
# Capstone 5 reports 16 bytes for their memory operand; use the larger size.
_READS_MORE = ("comisd", "comiss")
# With a zero source the destination keeps all its bits (AMD) or is undefined (Intel):
# nothing is known afterwards, not even zero extension.
_MAYBE_UNWRITTEN = ("bsf", "bsr", "cmpxchg")
# Both operands are destinations; 90h is xchg eax, eax without zero extension.
_OPAQUE = (*_MAYBE_UNWRITTEN, "xchg")
_INVALID: Final[int] = cs.X86_REG_INVALID
_ES: Final[int] = cs.X86_REG_ES
_FS: Final[int] = cs.X86_REG_FS
_K0: Final[int] = cs.X86_REG_K0


class OperandEffects:
    """Collects the effects of the operands.

    ``reads`` and ``sets`` are predicates (:mod:`.predicates`), ``writes`` maps a
    general register to whether it is zero-extended. ``slot`` is the frame slot
    accessed, or NONE.
    """

    def __init__(self, encoding: Encoding, name: str) -> None:
        self._form = encoding.form
        self._encoding = encoding
        self._name = name
        self.reads = 0
        self.sets = 0
        self.writes: dict[int, bool] = {}
        self.access = Access.NONE
        self.base = self.index = NONE
        self.scale = 1
        self.size = 0
        self.has_memory = False
        self.faults = False
        self.touches = False
        self.stores = False
        self.slot = NONE
        self.vector = False
        self.pointers = 0
        self.repeated = False

    def string(self, operands: list[Operand]) -> None:
        """The operands of a string instruction: [rdi], [rsi] and rax.

        ``pointers`` gets the bits of the registers, ``repeated`` whether it has rep.
        """
        encoding = self._encoding
        self.size = encoding.size
        self.repeated = encoding.prefix in (0xF2, 0xF3)
        for effect, operand in zip(self._form.ops, operands, strict=True):
            if operand.size != self.size:
                raise Refusal(Rule.ENCODING, "the two decoders disagree about a size")
            if operand.kind == REGISTER:
                # With rcx = 0 nothing is read, and the destination is unchanged.
                once = effect == "r" or not self.repeated
                self.register(effect if once else "m", operand.register)
                continue
            base = ADDRESS.get(operand.base, -9)
            if (
                operand.kind != MEMORY
                or base not in (_RSI, _RDI)
                or self.pointers >> base & 1
                or operand.index != _INVALID
                or operand.segment not in (_INVALID, _ES)
                or operand.disp
            ):
                raise Refusal(Rule.ENCODING, "an unknown kind of string instruction")
            self.pointers |= 1 << base
            self.reads |= defined(base)
            self.writes[base] = False
        if self.repeated:
            self.reads |= defined(_RCX)
            self.writes = {**dict.fromkeys(self.writes, False), _RCX: False}
        self.access = Access.STRING
        self._touch("m")

    def mask(self, operand: Operand) -> None:
        """The mask register, which capstone reports as an operand."""
        encoding = self._encoding
        if operand.kind != REGISTER or operand.register != _K0 + encoding.mask:
            raise Refusal(Rule.ENCODING, "the two decoders disagree about a mask")
        if operand.zeroing != encoding.zeroing:
            raise Refusal(Rule.ENCODING, "the two decoders disagree about zeroing")
        self.vector = True

    def register(self, effect: str, number: int) -> None:
        """An explicit register operand."""
        if number in VECTOR:
            self.vector = True
            return
        if number not in REGISTERS:
            raise Refusal(Rule.ENCODING, "an operand that is no general register")
        gpr, size, _ = REGISTERS[number]
        if gpr == RSP:
            raise Refusal(Rule.STACK, "rsp as an operand")
        if effect in "rm":
            self.reads |= defined(gpr)
        if effect in "wm":
            extends = size == 4 and self._name not in _OPAQUE
            self.writes[gpr] = extends and self.writes.get(gpr, True)
            if size >= 4 and effect == "w":
                self.sets |= defined(gpr)

    def memory(self, effect: str, operand: Operand) -> None:
        """The explicit memory operand."""
        encoding = self._encoding
        segment = _FS if encoding.fs else _INVALID
        if (
            self.has_memory
            or not encoding.memory
            or ADDRESS.get(operand.base, -9) != encoding.base
            or ADDRESS.get(operand.index, -9) != encoding.index
            or (encoding.index != NONE and operand.scale != encoding.scale)
            or operand.disp != encoding.disp
            or operand.segment != segment
        ):
            raise Refusal(Rule.ENCODING, "the two decoders disagree about an address")
        self.has_memory = True
        size = encoding.memory_size
        if size:
            # Capstone reports a size for lea and nop, which access nothing.
            if operand.size != size and self._name not in _READS_MORE:
                raise Refusal(Rule.ENCODING, "the two decoders disagree about a size")
        elif effect not in "w-":
            raise Refusal(Rule.ENCODING, "a size is missing in the allow-list")
        if not size:
            self._address_only()
            return
        self.size = max(size, operand.size)
        self._classify(effect)

    def _address_only(self) -> None:
        """lea and nop: no access, but the address must not leak kernel data."""
        encoding = self._encoding
        if self._name == "nop":
            return
        if encoding.fs:
            raise Refusal(Rule.ENCODING, "fs: prefix without effect")
        if encoding.base == RIP:
            raise Refusal(Rule.LEAK, "would show a kernel address to the user")
        if encoding.base == RSP:
            raise Refusal(Rule.STACK, "would show the kernel's stack to the user")
        for part in (encoding.base, encoding.index):
            if part != NONE:
                self.reads |= defined(part)

    def _classify(self, effect: str) -> None:
        """Determines the kind of the access and refuses kinds without a proof."""
        encoding = self._encoding
        read, write = effect in "rm", effect in "wm"
        if self._form.x87 and encoding.base in (RSP, RIP) and not encoding.fs:
            raise Refusal(Rule.LEAK, "the FPU would show where its operand was")
        if self.size > _MAX_ACCESS:
            raise Refusal(Rule.MEMORY, f"access of {self.size} bytes")
        if encoding.fs:
            if encoding.base != NONE or encoding.index != NONE:
                raise Refusal(Rule.MEMORY, "fs: with a register")
            self.access = Access.THREAD
            low, high = encoding.disp, encoding.disp + self.size
            if low < abi.GUARD_LOW or high > abi.GUARD_HIGH:
                raise Refusal(Rule.POINTER, "displacement beyond the guard")
            self._touch(effect)
            return
        if encoding.index != NONE:
            if encoding.base in (NONE, RSP):
                raise Refusal(Rule.MEMORY, "an index register without a clamped base")
            self.index, self.scale = encoding.index, encoding.scale
            self.reads |= defined(encoding.index)
        if encoding.base == RIP:
            if self._name not in ("cmp", "mov") or self.size != 8 or write:
                raise Refusal(Rule.MEMORY, "rip-relative other than cmp/mov r64")
            self.access = Access.CONSTANT
            return
        if encoding.base == NONE:
            raise Refusal(Rule.MEMORY, "absolute address")
        if encoding.base == RSP:
            self._frame(read, write)
            return
        self.access = Access.USER
        self.base = encoding.base
        self.reads |= defined(encoding.base)
        self._touch(effect)

    def _touch(self, effect: str) -> None:
        """A prefetch (effect -) needs a proof but cannot fault."""
        self.touches = True
        self.faults = effect != "-"

    def _frame(self, read: bool, write: bool) -> None:
        """An access to the frame; the special slots come in :mod:`.patterns`."""
        encoding = self._encoding
        if encoding.lock:
            raise Refusal(Rule.MEMORY, "lock on a frame slot")
        if write and encoding.family == EVEX:
            raise Refusal(Rule.MEMORY, "a store to the frame that may have a mask")
        self.access = Access.FRAME
        if self._name in ("push", "pop"):
            return
        start = encoding.disp & -8
        if start == abi.FRAME_EXIT and self._name in ("mov", "sub"):
            return
        if start == abi.FRAME_FIP and self._name == "mov":
            return
        self.slot = slots.slot(encoding.disp, self.size, read, write)
        fact = slot_defined(self.slot)
        if read:
            self.reads |= fact
        if write:
            self.stores = True
            if self.size == 8:
                self.sets |= fact

    def implied(self) -> None:
        """Implicit register operands."""
        whole = self._encoding.size >= 4
        for access, gpr in self._form.implied:
            if access in "~*":
                self.reads |= defined(gpr)
            if access in "=*":
                self.writes[gpr] = False
                if access == "=" and whole:
                    self.sets |= defined(gpr)
        if self._name == "mulx" and len(self.writes) == 1:
            # mulx r, r, x: legal, the high half wins. Both are the same here.
            self.writes = dict.fromkeys(self.writes, False)
