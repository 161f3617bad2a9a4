# SPDX-License-Identifier: GPL-2.0-only
"""Bytes to :class:`.insn.Insn`, agreed on by capstone and the allow-list.

Two decoders look at each instruction: :mod:`.encoding` with the allow-list,
and capstone. Length, mnemonic, number and size of operands, addresses and
written registers must agree, else the instruction is refused. Everything that
can be judged without the position is judged here, once for equal bytes.
Knows nothing of control flow.
"""

from __future__ import annotations

import functools
from typing import Any

import capstone
from capstone import x86_const as cs

from ubypass import abi
from ubypass.verify import slots
from ubypass.verify.allowlist import GPR, Form
from ubypass.verify.encoding import NONE, RIP, Encoding, parse
from ubypass.verify.errors import Refusal, Rule
from ubypass.verify.insn import Access, Insn, Kind, Op

_RSP = 4
_MASK64 = (1 << 64) - 1
_FLAG_SLOTS = (abi.FRAME_FLAGS, abi.FRAME_SYSFLAGS)
_MAX_ACCESS = 64  # bytes; docs/abi.md §6
# Capstone 5 takes their memory operand for 16 bytes; believe the larger size.
_READS_MORE = ("comisd", "comiss")
_MEMORY = 8192  # instructions to remember: about 4 MiB
# Registers by capstone's number: (register number, bytes, high byte?).
_REGISTERS: dict[int, tuple[int, int, bool]] = {}
_ADDRESS: dict[int, int] = {cs.X86_REG_INVALID: NONE, cs.X86_REG_RIP: RIP}
# eflags bits of capstone that say "written" in some way.
_TESTS = 0
_LOOPS = ("jrcxz", "loop", "loope", "loopne")
# The destination keeps all its bits when the source is zero (AMD) or is
# undefined (Intel): nothing is known afterwards, not even zero extension.
_MAYBE_UNWRITTEN = ("bsf", "bsr", "cmpxchg")
# Both operands are destinations; 90h is xchg eax, eax that does not extend.
_OPAQUE = (*_MAYBE_UNWRITTEN, "xchg")


def _fill_tables() -> None:
    global _TESTS
    old = {"rax": "a", "rcx": "c", "rdx": "d", "rbx": "b"}
    for number, name in enumerate(GPR):
        if name in old:
            letter = old[name]
            names = [name, f"e{letter}x", f"{letter}x", f"{letter}l"]
            high = getattr(cs, f"X86_REG_{letter.upper()}H")
            _REGISTERS[high] = (number, 1, True)
        elif number < 8:
            names = [name, "e" + name[1:], name[1:], name[1:] + "l"]
        else:
            names = [name, name + "d", name + "w", name + "b"]
        for size, alias in zip((8, 4, 2, 1), names, strict=True):
            _REGISTERS[getattr(cs, "X86_REG_" + alias.upper())] = (number, size, False)
        _ADDRESS[getattr(cs, "X86_REG_" + name.upper())] = number
    for name, value in vars(cs).items():
        if name.startswith("X86_EFLAGS_TEST_"):
            _TESTS |= value


_fill_tables()
_Fields = dict[str, Any]  # fields of Insn
_VECTOR = range(cs.X86_REG_XMM0, cs.X86_REG_ZMM31 + 1)


def text(code: bytes, at: int) -> str:
    """What capstone reads at ``at``, for people; ``(bad)`` if nothing."""
    engine = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    for _, _, name, operands in engine.disasm_lite(code[at : at + 15], at, 1):
        return f"{name} {operands}".strip()
    return "(bad)"


@functools.cache
def decoder() -> Decoder:
    """The decoder that all verifications share.

    On purpose, unlike everything else: what it keeps depends on nothing but the
    bytes of one instruction, and regions are verified again whenever they grow.
    """
    return Decoder()


class Decoder:
    """Decodes instructions; equal bytes are judged once."""

    def __init__(self) -> None:
        self._capstone = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
        self._capstone.detail = True
        self._known: dict[bytes, Insn] = {}
        self._lengths: dict[bytes, list[int]] = {}
        self._branches: dict[bytes, Insn] = {}

    def decode(self, code: bytes, at: int, end: int) -> Insn:
        """The instruction at ``at``, which must end at or before ``end``.

        Raises Refusal when a rule is broken that does not depend on position.
        """
        start = code[at : at + 2]
        for length in self._lengths.get(start, ()):
            # Bytes that are a whole instruction are one wherever they stand.
            known = self._known.get(code[at : at + length])
            if known is not None and at + length <= end:
                return known
        branch = self._branches.get(start) or self._branches.get(start[:1])
        if branch is not None and at + branch.length <= end:
            return branch
        encoding = parse(code, at, end)
        length = encoding.length
        insn = _judge(self._capstone, code[at : at + length], encoding)
        if insn.relative:
            # Where a branch goes is not judged here: only the opcode counts.
            self._branches[code[at : at + length - insn.relative]] = insn
            return insn
        if len(self._known) >= _MEMORY:
            self._known.clear()
            self._lengths.clear()
        self._known[code[at : at + length]] = insn
        lengths = self._lengths.setdefault(start, [])
        if length not in lengths:
            lengths.append(length)
        return insn

    def refused(self, code: bytes, at: int) -> Rule:
        """Which rule the bytes at ``at``, not on the list, are best named after."""
        groups = (
            capstone.CS_GRP_JUMP,
            capstone.CS_GRP_CALL,
            capstone.CS_GRP_RET,
            capstone.CS_GRP_INT,
            capstone.CS_GRP_IRET,
        )
        for insn in self._capstone.disasm(code[at : at + 15], at, 1):
            if any(insn.group(group) for group in groups):
                return Rule.BRANCH
            if cs.X86_REG_RSP in insn.regs_access()[1]:
                return Rule.STACK
        return Rule.ENCODING


def _judge(engine: Any, raw: bytes, encoding: Encoding) -> Insn:
    """All checks of one instruction that need nothing but its bytes."""
    insn = next(engine.disasm(raw, 0, 1), None)
    if insn is None or insn.size != encoding.length:
        raise Refusal(Rule.ENCODING, "the two decoders disagree about the length")
    form = encoding.form
    name = insn.insn_name()
    predicate = "cc" in form.attributes
    if predicate:
        # Capstone's numbers for cmpltps and the like are those of other names,
        # whose flags it then shows.
        name = _without_predicate(insn.mnemonic, form.names[0])
    if name not in form.names:
        raise Refusal(Rule.ENCODING, f"the two decoders disagree: {form.names[0]}")
    if form.keeps_flags and insn.eflags & ~_TESTS and not predicate:
        raise Refusal(Rule.ENCODING, "the two decoders disagree about flags")
    operands = insn.operands
    if predicate and len(operands) > len(form.ops):
        operands = operands[:-1]
    if len(operands) != len(form.ops):
        raise Refusal(Rule.ENCODING, "the two decoders disagree about operands")
    effects = _Effects(form, encoding, name)
    for effect, operand in zip(form.ops, operands, strict=True):
        if operand.type == cs.X86_OP_REG:
            effects.register(effect, operand.reg)
        elif operand.type == cs.X86_OP_MEM:
            effects.memory(effect, operand)
        elif effect != "r":
            raise Refusal(Rule.ENCODING, "an immediate as destination")
    if encoding.memory != effects.has_memory:
        raise Refusal(Rule.ENCODING, "the two decoders disagree about memory")
    effects.implied()
    _compare_registers(insn, name, effects)
    must_fault = effects.faults or form.fp or name in ("div", "idiv")
    fields = _Fields(
        length=encoding.length,
        reads=effects.reads,
        defines=effects.defines,
        writes=tuple(sorted(effects.writes.items())),
        kills_flags=not form.keeps_flags,
        access=effects.access,
        base=effects.base,
        disp=encoding.disp if effects.access else 0,
        size=effects.size,
        must_fault=must_fault,
        may_fault=must_fault or effects.touches,
        store_slot=effects.store_slot,
        prelude=not (must_fault or effects.touches),
        features=form.long_features if encoding.long_vector else form.features,
        vector=effects.vector or form.vector,
    )
    fields.update(_special(fields, name, encoding, operands))
    return Insn(**fields)


def _without_predicate(mnemonic: str, name: str) -> str:
    """``name`` if ``mnemonic`` is it with a predicate in it, like vcmpeq_uqps."""
    stem, kind = name[:-2], name[-2:]
    same = mnemonic.startswith(stem) and mnemonic.endswith(kind)
    return name if same else mnemonic


class _Effects:
    """Collects what the operands of one instruction read and write."""

    def __init__(self, form: Form, encoding: Encoding, name: str) -> None:
        self._form = form
        self._encoding = encoding
        self._name = name
        self.reads = 0
        self.defines = 0
        self.writes: dict[int, bool] = {}
        self.access = Access.NONE
        self.base = NONE
        self.size = 0
        self.has_memory = False
        self.faults = False
        self.touches = False
        self.store_slot = NONE
        self.vector = False

    def register(self, effect: str, number: int) -> None:
        """An explicit register operand."""
        if number in _VECTOR:
            self.vector = True
            return
        if number not in _REGISTERS:
            raise Refusal(Rule.ENCODING, "an operand that is no general register")
        gpr, size, _ = _REGISTERS[number]
        if gpr == _RSP:
            raise Refusal(Rule.STACK, "rsp as an operand")
        if effect in "rm":
            self.reads |= 1 << gpr
        if effect in "wm":
            whole = size >= 4
            extends = size == 4 and self._name not in _OPAQUE
            self.writes[gpr] = extends and self.writes.get(gpr, True)
            if whole and effect == "w":
                self.defines |= 1 << gpr

    def memory(self, effect: str, operand: Any) -> None:
        """The explicit memory operand."""
        mem, encoding = operand.mem, self._encoding
        segment = cs.X86_REG_FS if encoding.fs else cs.X86_REG_INVALID
        if (
            self.has_memory
            or not encoding.memory
            or _ADDRESS.get(mem.base, -9) != encoding.base
            or _ADDRESS.get(mem.index, -9) != encoding.index
            or (encoding.index != NONE and mem.scale != encoding.scale)
            or mem.disp != encoding.disp
            or mem.segment != segment
        ):
            raise Refusal(Rule.ENCODING, "the two decoders disagree about an address")
        self.has_memory = True
        size = self._memory_size()
        if size:
            # Capstone gives lea and nop a size although they access nothing.
            if operand.size != size and self._name not in _READS_MORE:
                raise Refusal(Rule.ENCODING, "the two decoders disagree about a size")
        elif effect not in "w-":
            raise Refusal(Rule.ENCODING, "a size is missing in the allow-list")
        if not size:
            self._address_only()
            return
        self.size = max(size, operand.size)
        self._classify(effect)

    def _memory_size(self) -> int:
        width, encoding = self._form.mem, self._encoding
        if width == "":
            if self._form.size == ".":
                raise Refusal(Rule.ENCODING, "no memory form on the allow-list")
            return encoding.size
        if width[0] == "x":
            length = 32 if encoding.long_vector else 16
            return length // int(width[1:] or "1")
        return int(width)

    def _address_only(self) -> None:
        """lea computes, nop does nothing: no access, but nothing may leak."""
        encoding = self._encoding
        if self._name == "nop":
            return
        if encoding.fs:
            raise Refusal(Rule.ENCODING, "fs: prefix without effect")
        if encoding.base == RIP:
            raise Refusal(Rule.LEAK, "would show a kernel address to the user")
        if encoding.base == _RSP:
            raise Refusal(Rule.STACK, "would show the kernel's stack to the user")
        for part in (encoding.base, encoding.index):
            if part != NONE:
                self.reads |= 1 << part

    def _classify(self, effect: str) -> None:
        """Says what kind of access it is and refuses the kinds without proof."""
        encoding = self._encoding
        read, write = effect in "rm", effect in "wm"
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
            raise Refusal(Rule.MEMORY, "an index register in a user access")
        if encoding.base == RIP:
            if self._name not in ("cmp", "mov") or self.size != 8 or write:
                raise Refusal(Rule.MEMORY, "rip-relative other than cmp/mov r64")
            self.access = Access.CONSTANT
            return
        if encoding.base == NONE:
            raise Refusal(Rule.MEMORY, "absolute address")
        if encoding.base == _RSP:
            self._frame(read, write)
            return
        self.access = Access.USER
        self.base = encoding.base
        self.reads |= 1 << encoding.base
        self._touch(effect)

    def _touch(self, effect: str) -> None:
        """A prefetch (effect -) needs a proof but cannot fault."""
        self.touches = True
        self.faults = effect != "-"

    def _frame(self, read: bool, write: bool) -> None:
        """An access to the frame; the special slots come in :func:`_special`."""
        encoding = self._encoding
        if encoding.lock:
            raise Refusal(Rule.MEMORY, "lock on a frame slot")
        self.access = Access.FRAME
        if self._name in ("push", "pop") or (
            0 <= encoding.disp < abi.FRAME_LIMIT and self._name in ("mov", "sub")
        ):
            return
        start = slots.slot(encoding.disp, self.size, read, write)
        bit = slots.undefined_bit(start)
        if read:
            self.reads |= bit
        if write:
            self.store_slot = start
            if self.size == 8:
                self.defines |= bit

    def implied(self) -> None:
        """Registers that the instruction uses without naming them."""
        whole = self._encoding.size >= 4
        for access, gpr in self._form.implied:
            if access in "~*":
                self.reads |= 1 << gpr
            if access in "=*":
                self.writes[gpr] = False
                if access == "=" and whole:
                    self.defines |= 1 << gpr
        if self._name == "mulx" and len(self.writes) == 1:
            # mulx r, r, x: legal, the high half wins. Both are the same here.
            self.writes = dict.fromkeys(self.writes, False)


def _compare_registers(insn: Any, name: str, effects: _Effects) -> None:
    """Capstone must not know of a register that the allow-list does not."""
    read, written = insn.regs_access()
    if name == "test":
        # Capstone 5 says that "test eax, imm32" (A9h) writes eax.
        written = ()
    pairs = name in ("push", "pop", "pushfq", "popfq")
    for number in written:
        gpr = _REGISTERS.get(number, (NONE, 0, False))[0]
        if gpr == _RSP and not pairs:
            raise Refusal(Rule.STACK, "writes rsp")
        if gpr not in (NONE, _RSP) and gpr not in effects.writes:
            raise Refusal(Rule.ENCODING, f"also writes {GPR[gpr]}")
    for number in read:
        gpr = _REGISTERS.get(number, (NONE, 0, False))[0]
        if gpr in (NONE, _RSP) or name == "nop":
            continue
        if not (effects.reads >> gpr & 1):
            raise Refusal(Rule.ENCODING, f"also reads {GPR[gpr]}")


def _special(insn: _Fields, name: str, encoding: Encoding, operands: Any) -> _Fields:
    """Instructions with a meaning of their own in the contract."""
    form = encoding.form
    if "rel8" in form.attributes or "rel32" in form.attributes:
        kind = Kind.JMP if name == "jmp" else Kind.BRANCH
        op = Op.ABOVE if name == "ja" else Op.GENERIC
        return _Fields(
            kind=kind,
            op=op,
            tail=kind is Kind.JMP,
            relative=encoding.immediate,
            on_sign=name == "js",
        )
    if name in ("pushfq", "popfq"):
        return _Fields(kind=Kind.PUSH if name == "pushfq" else Kind.POP, number=0)
    if name in ("push", "pop"):
        if insn["access"] is not Access.FRAME or insn["disp"] not in _FLAG_SLOTS:
            raise Refusal(Rule.STACK, f"{name} of other than a flags slot")
        kind = Kind.PUSH if name == "push" else Kind.POP
        return _Fields(kind=kind, number=insn["disp"])
    if insn["access"] is Access.FRAME:
        if 0 <= insn["disp"] < abi.FRAME_LIMIT:
            return _bookkeeping(insn, name, operands)
        return _frame(insn, name, operands)
    if insn["access"] is Access.CONSTANT and _gpr64(operands[0]) == NONE:
        raise Refusal(Rule.MEMORY, "rip-relative other than cmp/mov r64")
    if insn["access"] is not Access.NONE:
        return _Fields()
    return _values(insn, name, encoding, operands)


def _bookkeeping(insn: _Fields, name: str, operands: Any) -> _Fields:
    """EXIT and BUDGET, which exist in one form each."""
    value = operands[1].imm if operands[1].type == cs.X86_OP_IMM else None
    if operands[0].type != cs.X86_OP_MEM or value is None or insn["size"] != 4:
        raise Refusal(Rule.MEMORY, "EXIT and BUDGET take immediates only")
    if name == "mov" and insn["disp"] == abi.FRAME_EXIT:
        return _Fields(kind=Kind.EXIT_NUMBER, number=value & 0xFFFFFFFF)
    if name == "sub" and insn["disp"] == abi.FRAME_BUDGET:
        value &= 0xFFFFFFFF
        if not 0 < value < 1 << 31:
            raise Refusal(Rule.BUDGET, "the budget would grow")
        return _Fields(kind=Kind.CHARGE, number=value)
    raise Refusal(Rule.MEMORY, f"{name} on EXIT or BUDGET")


def _frame(insn: _Fields, name: str, operands: Any) -> _Fields:
    """Loads, compares and stores of slots that mean something."""
    first = _gpr64(operands[0])
    if name == "mov" and insn["store_slot"] != NONE and insn["size"] == 8:
        register = operands[1].type == cs.X86_OP_REG
        target = insn["store_slot"] == abi.FRAME_TARGET
        user = slots.is_user_register(insn["store_slot"])
        return _Fields(
            target_store=target and register, tail=register and (target or user)
        )
    if first == NONE or insn["size"] != 8:
        return _Fields()
    if insn["disp"] == abi.FRAME_LIMIT and name == "cmp":
        return _Fields(op=Op.COMPARE, a=first)
    if insn["disp"] == abi.FRAME_LIMIT and name == "cmova":
        return _Fields(op=Op.CLAMP, a=first)
    if name == "mov":
        op = Op.USP if insn["disp"] == slots.USP_SLOT else Op.RELOAD
        return _Fields(op=op, a=first)
    return _Fields()


def _values(insn: _Fields, name: str, encoding: Encoding, operands: Any) -> _Fields:
    """Register forms whose result is known or bounded."""
    if not operands:
        return _Fields()
    a = _gpr64(operands[0])
    last = operands[-1]
    immediate = last.imm if last.type == cs.X86_OP_IMM else None
    if name in ("mov", "movabs") and immediate is not None:
        reg = _REGISTERS[operands[0].reg]
        if reg[1] == 8:
            return _Fields(op=Op.CONST, a=a, b=immediate & _MASK64)
        if reg[1] == 4:
            return _Fields(op=Op.CONST, a=reg[0], b=immediate & 0xFFFFFFFF)
    if name in ("xor", "sub") and operands[0].type == last.type == cs.X86_OP_REG:
        reg = _REGISTERS[operands[0].reg]
        if operands[0].reg == last.reg and reg[1] >= 4:
            # A zeroing idiom reads nothing.
            bit = 1 << reg[0]
            return _Fields(
                op=Op.CONST, a=reg[0], b=0, reads=insn["reads"] & ~bit, defines=bit
            )
    if a == NONE:
        return _Fields()
    if name == "mov" and _gpr64(last) != NONE:
        return _Fields(op=Op.COPY, a=a, b=_gpr64(last))
    if name == "lea" and encoding.index == NONE:
        if encoding.base == NONE:
            return _Fields(op=Op.CONST, a=a, b=encoding.disp & _MASK64)
        return _Fields(op=Op.SHIFT, a=a, b=encoding.base, c=encoding.disp)
    if name in ("inc", "dec"):
        return _Fields(op=Op.SHIFT, a=a, b=a, c=1 if name == "inc" else -1)
    if immediate is None:
        return _Fields()
    if name in ("add", "sub"):
        signed = _signed(immediate)
        return _Fields(op=Op.SHIFT, a=a, b=a, c=signed if name == "add" else -signed)
    if name == "and":
        step = -_signed(immediate)
        if step > 0 and step & (step - 1) == 0:
            return _Fields(op=Op.ALIGN, a=a, b=step)
    return _Fields()


def _gpr64(operand: Any) -> int:
    """Number of a 64-bit general register operand, else NONE."""
    if operand.type != cs.X86_OP_REG:
        return NONE
    number, size, _ = _REGISTERS.get(operand.reg, (NONE, 0, False))
    return number if size == 8 else NONE


def _signed(value: int) -> int:
    value &= _MASK64
    return value - (1 << 64) if value >> 63 else value
