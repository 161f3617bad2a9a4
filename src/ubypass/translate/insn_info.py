# SPDX-License-Identifier: GPL-2.0-only
"""Instruction info: the properties of one user instruction for the translator.

Computed from iced, in user register numbers, once for all instructions that differ only
in a displacement. Refuses instructions that no rule covers. Must not depend on host
registers or states.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final, cast

from iced_x86 import (
    Code,
    Instruction,
    InstructionInfo,
    InstructionInfoFactory,
    MemorySizeExt,
    Mnemonic,
    OpAccess,
    OpCodeInfo,
    OpKind,
    Register,
    RegisterExt,
    RoundingControl,
)

from ubypass.abi import ENDBR64
from ubypass.region.liveness import FlagUse, flag_use
from ubypass.translate.allowlist import group, reason
from ubypass.translate.features import needs
from ubypass.translate.iced import IcedRegister
from ubypass.translate.registers import RSP, number, width
from ubypass.words import signed64

__all__ = [
    "SILENT",
    "InsnInfo",
    "Memory",
    "RegisterOperand",
    "RegisterUse",
    "Stores",
    "Unsupported",
    "alignment",
    "insn_info",
    "is_syscall",
]

_factory = InstructionInfoFactory()

_READS: Final = frozenset(
    {
        OpAccess.READ,
        OpAccess.COND_READ,
        OpAccess.READ_WRITE,
        OpAccess.READ_COND_WRITE,
        # A conditional write may keep the old value.
        OpAccess.COND_WRITE,
    }
)
_WRITES: Final = frozenset(
    {
        OpAccess.WRITE,
        OpAccess.COND_WRITE,
        OpAccess.READ_WRITE,
        OpAccess.READ_COND_WRITE,
    }
)
_BIT_STRINGS: Final = frozenset({Mnemonic.BT, Mnemonic.BTS, Mnemonic.BTR, Mnemonic.BTC})

#: Instructions without an effect visible to a user program. DF is clear anyway.
SILENT: Final = frozenset(
    {
        Mnemonic.NOP,
        Mnemonic.ENDBR64,
        Mnemonic.CLD,
        Mnemonic.RDSSPD,
        Mnemonic.RDSSPQ,
        Mnemonic.PREFETCHT0,
        Mnemonic.PREFETCHT1,
        Mnemonic.PREFETCHT2,
        Mnemonic.PREFETCHNTA,
        Mnemonic.PREFETCHW,
    }
)
# Registers that need no treatment.
_OTHERS: Final = frozenset(
    register
    for register in vars(Register).values()
    if isinstance(register, int)
    and (
        RegisterExt.is_vector_register(cast(IcedRegister, register))
        or RegisterExt.is_k(cast(IcedRegister, register))
        or RegisterExt.is_mm(cast(IcedRegister, register))
        or RegisterExt.is_st(cast(IcedRegister, register))
    )
)


# Plain integers, because they are compared often.
_REGISTER: Final[int] = OpKind.REGISTER
_MEMORY: Final[int] = OpKind.MEMORY
_NO_REGISTER: Final[int] = Register.NONE
_FS: Final[int] = Register.FS
_GS: Final[int] = Register.GS
_LEA: Final[int] = Mnemonic.LEA
_POP: Final[int] = Mnemonic.POP
_XCHG: Final[int] = Mnemonic.XCHG
_NO_ROUNDING: Final[int] = RoundingControl.NONE

#: Instructions that drain, or may drain, the processor's store buffer.
_FENCES: Final = frozenset({Mnemonic.MFENCE, Mnemonic.SFENCE, Mnemonic.LFENCE})
_PUSHES: Final = frozenset({Mnemonic.PUSH, Mnemonic.PUSHFQ})
_DIVISIONS: Final = frozenset({Mnemonic.DIV, Mnemonic.IDIV})
# With a zero source these leave the destination unchanged.
_BIT_SCANS: Final = frozenset({Mnemonic.BSF, Mnemonic.BSR})


class Stores:
    """The target of an instruction's stores: none, the pushed word, the memory operand,
    or any (also if the instruction drains the store buffer).
    """

    NOTHING: Final = 0
    PUSHED: Final = 1
    OPERAND: Final = 2
    ANYTHING: Final = 3


class Unsupported(Exception):
    """An instruction without a translation; the message says why."""


@dataclass(init=False)
class Memory:
    """An explicit memory operand.

    ``base`` and ``index`` are user register numbers or None; with neither,
    ``displacement`` is the (fs-relative, if ``fs``) address itself. ``size`` in
    bytes, 0 for ``lea``. ``access`` is false when only the address matters. ``narrow``:
    the address is truncated to 32 bits (before the fs base is added).
    """

    base: int | None
    index: int | None
    scale: int
    displacement: int
    size: int
    fs: bool
    access: bool
    narrow: bool

    def __init__(
        self,
        *,
        base: int | None,
        index: int | None,
        scale: int,
        displacement: int,
        size: int,
        fs: bool,
        access: bool,
        narrow: bool = False,
    ) -> None:
        # Written out, it is compiled.
        self.base, self.index, self.scale = base, index, scale
        self.displacement, self.size = displacement, size
        self.fs, self.access, self.narrow = fs, access, narrow

    def at(self, displacement: int) -> Memory:
        """The same with another displacement."""
        return self._with(displacement, self.narrow)

    def narrowed(self) -> Memory:
        """The same, truncated to 32 bits."""
        return self._with(self.displacement, True)

    def _with(self, displacement: int, narrow: bool) -> Memory:
        return Memory(
            base=self.base,
            index=self.index,
            scale=self.scale,
            displacement=displacement,
            size=self.size,
            fs=self.fs,
            access=self.access,
            narrow=narrow,
        )


@dataclass(init=False)
class RegisterOperand:
    """Operand number, iced register, user register, and the kind of use.

    ``zero_extends``: always written as 32 bits, so the upper half becomes zero.
    """

    operand: int
    register: IcedRegister
    user: int
    reads: bool
    writes: bool
    zero_extends: bool

    def __init__(
        self,
        *,
        operand: int,
        register: IcedRegister,
        user: int,
        reads: bool,
        writes: bool,
        zero_extends: bool,
    ) -> None:
        # Written out, it is compiled.
        self.operand, self.register, self.user = operand, register, user
        self.reads, self.writes, self.zero_extends = reads, writes, zero_extends


class RegisterUse:
    """The user registers of an instruction.

    ``reads``: registers whose value is needed, for data or an address; ``writes``:
    registers that change; ``registers``: registers of ``operands``; ``extended``:
    written registers whose upper half always becomes zero; ``implicit``: registers read
    or written without being an operand or part of an address. ``stack``: rsp is an
    operand or changed.
    """

    def __init__(
        self,
        reads: tuple[int, ...],
        writes: tuple[int, ...],
        operands: tuple[RegisterOperand, ...],
        memory: Memory | None,
    ) -> None:
        named = {operand.user for operand in operands}
        self.reads: Final = reads
        self.writes: Final = writes
        self.operands: Final = operands
        self.registers: Final = frozenset(named)
        if memory is not None:
            for part in (memory.base, memory.index):
                if part is not None:
                    named.add(part)
        self.extended: Final = frozenset(
            operand.user
            for operand in operands
            if operand.writes and operand.zero_extends
        )
        self.implicit: Final = frozenset(
            user for user in (*reads, *writes) if user not in named
        )
        self.stack: Final = RSP in writes or any(
            o.user == RSP and o.reads for o in operands
        )


class InsnInfo:
    """One user instruction; immutable.

    ``instruction`` is one instruction of this form; others may have another ``ip``.
    ``faults``: may fault although it has no memory operand (division, vector
    exceptions). ``vector``: uses vector registers. ``pointer``: an x87 instruction that
    sets FIP. ``features`` are the required processor features, by the kernel's names,
    ``stores`` is one of :class:`Stores`. ``use`` is the source of the fields ``reads``
    to ``stack``; ``named`` and ``implied`` are the bits of ``registers`` and
    ``implicit``.

    ``serial`` is unique to an info, ``form`` the same for all infos that differ only in
    a displacement: keys for results that other modules compute from an info.
    """

    def __init__(
        self,
        instruction: Instruction,
        memory: Memory | None,
        use: RegisterUse,
        *,
        flags: FlagUse,
        faults: bool,
        vector: bool,
        pointer: bool,
        features: frozenset[str],
        stores: int,
        form: int = -1,
    ) -> None:
        self.instruction: Final = instruction
        self.mnemonic: Final[int] = instruction.mnemonic
        self.memory: Final = memory
        self.use: Final = use
        self.reads: Final = use.reads
        self.writes: Final = use.writes
        self.operands: Final = use.operands
        self.registers: Final = use.registers
        self.extended: Final = use.extended
        self.implicit: Final = use.implicit
        self.stack: Final = use.stack
        self.named: Final = _bits(use.registers)
        self.implied: Final = _bits(use.implicit)
        self.flags: Final = flags
        self.faults: Final = faults
        self.vector: Final = vector
        self.pointer: Final = pointer
        self.features: Final = features
        self.stores: Final = stores
        self.serial: Final = next(_serials)
        self.form: Final = form if form >= 0 else self.serial

    def of(self, instruction: Instruction) -> InsnInfo:
        """The same info for ``instruction``, which has the same form."""
        memory = self.memory
        if memory is not None:
            if instruction.is_ip_rel_memory_operand:
                displacement = instruction.ip_rel_memory_address
            else:
                displacement = _displacement(instruction)
            memory = memory.at(displacement)
        return InsnInfo(
            instruction,
            memory,
            self.use,
            flags=self.flags,
            faults=self.faults,
            vector=self.vector,
            pointer=self.pointer,
            features=self.features,
            stores=self.stores,
            form=self.form,
        )


_serials = itertools.count()


def alignment(instruction: Instruction) -> int:
    """The power of two by which a 64-bit ``and`` with a constant aligns down; 0 for
    other instructions.
    """
    if instruction.code not in _ALIGNING:
        return 0
    step = (1 << 64) - instruction.immediate(1)
    return step if 0 < step <= 1 << 31 and step & (step - 1) == 0 else 0


_ALIGNING: Final = frozenset(
    {Code.AND_RM64_IMM8, Code.AND_RM64_IMM32, Code.AND_RAX_IMM32}
)


def _bits(users: frozenset[int]) -> int:
    bits = 0
    for user in users:
        bits |= 1 << user
    return bits


# Memo: the info, or the reason why there is none, by instruction and by form.
# Programs use some thousands of forms; the bounds only keep a long-lived process small.
_MOST: Final = 1 << 14
_seen: dict[Instruction, InsnInfo | str] = {}
_forms: dict[Instruction, InsnInfo | str] = {}


def insn_info(instruction: Instruction) -> InsnInfo:
    """The info of ``instruction``; raises :class:`Unsupported`."""
    # The address does not matter to equality.
    found = _seen.get(instruction)
    if found is None:
        found = _LANDING if _has_endbr64(instruction) else _by_form(instruction)
        if len(_seen) >= _MOST:
            _seen.clear()
        _seen[instruction] = found
    if isinstance(found, str):
        raise Unsupported(found)
    return found


_LANDING: Final = "a number with the bytes of endbr64, where indirect branches may end"
_IMMEDIATES: Final = frozenset(
    kind for name, kind in vars(OpKind).items() if name.startswith("IMMEDIATE")
)


def _has_endbr64(instruction: Instruction) -> bool:
    """Whether a number of the instruction has bytes that its translation must not."""
    numbers = [instruction.memory_displacement]
    for operand in range(instruction.op_count):
        if instruction.op_kind(operand) in _IMMEDIATES:
            numbers.append(instruction.immediate(operand))
    return any(ENDBR64 in number.to_bytes(8, "little") for number in numbers)


def _by_form(instruction: Instruction) -> InsnInfo | str:
    form = _form(instruction)
    found = _forms.get(form)
    if found is None:
        try:
            found = _gather(instruction)
        except Unsupported as why:
            found = str(why)
        if len(_forms) >= _MOST:
            _forms.clear()
        _forms[form] = found
    if isinstance(found, str) or found.instruction == instruction:
        return found
    return found.of(instruction)


def _form(instruction: Instruction) -> Instruction:
    """A normalized copy, equal for instructions with the same info: without ip,
    displacement, branch target, and most of a long constant.
    """
    form = instruction.copy()
    # The displacement field holds all of these.
    form.memory_displacement = 0
    # Only this field shows an address size of 32 bits.
    if form.memory_displ_size in _NEAR_SIZES:
        form.memory_displ_size = 8
    return form


# Equivalent sizes of displacements.
_NEAR_SIZES: Final = (0, 1)


def _gather(instruction: Instruction) -> InsnInfo:
    kind = group(instruction.code)
    if kind is None:
        raise Unsupported(reason(instruction))
    if instruction.has_xacquire_prefix or instruction.has_xrelease_prefix:
        raise Unsupported("transactional prefix")
    if instruction.rounding_control != _NO_ROUNDING and (
        OpCodeInfo(instruction.code).ignores_rounding_control
    ):
        raise Unsupported("rounding where nothing is rounded")
    info = _factory.info(instruction)
    mnemonic: int = instruction.mnemonic
    kinds: list[int] = [
        instruction.op_kind(operand) for operand in range(instruction.op_count)
    ]
    memory = _memory(instruction, mnemonic) if _MEMORY in kinds else None
    if memory is not None and mnemonic in _BIT_STRINGS and kinds[1] == _REGISTER:
        raise Unsupported("bit string in memory: reaches past its operand")
    if memory is not None and memory.narrow and _is_masked(instruction, mnemonic):
        # An AMD Zen 4 wraps the addresses of its elements where it would fault.
        raise Unsupported("a masked access with an address of 32 bits")
    if kind == "x87" and memory is not None and memory.fs and not _constant(memory):
        raise Unsupported("the FPU would remember another address")
    operands = _operands(instruction, info, mnemonic, kinds)
    reads: dict[int, None] = {}
    writes: dict[int, None] = {}
    for used in info.used_registers():
        user = number(used.register)
        if user is None:
            continue
        if used.access in _READS or (
            used.access in _WRITES and width(used.register) < 4
        ):
            reads[user] = None
        if used.access in _WRITES:
            writes[user] = None
    for operand in operands:
        if operand.reads:
            reads[operand.user] = None
    return InsnInfo(
        instruction,
        memory,
        RegisterUse(tuple(reads), tuple(writes), operands, memory),
        flags=flag_use(instruction),
        faults=kind.endswith("_fp")
        or kind in ("x87", "x87_waiting")
        or mnemonic in _DIVISIONS,
        vector=kind.startswith(("vector", "x87")),
        pointer=kind == "x87",
        features=needs(instruction.code),
        stores=_stores(instruction, info, mnemonic, memory),
    )


def _stores(
    instruction: Instruction,
    info: InstructionInfo,
    mnemonic: int,
    memory: Memory | None,
) -> int:
    locked = instruction.has_lock_prefix or (mnemonic == _XCHG and memory is not None)
    if locked or mnemonic in _FENCES:
        return Stores.ANYTHING
    stored = [used for used in info.used_memory() if used.access in _WRITES]
    if not stored:
        return Stores.NOTHING
    if mnemonic in _PUSHES:
        return Stores.PUSHED
    if memory is None or not memory.size or mnemonic == _POP:
        return Stores.ANYTHING
    return Stores.OPERAND


def _operands(
    instruction: Instruction, info: InstructionInfo, mnemonic: int, kinds: list[int]
) -> tuple[RegisterOperand, ...]:
    found = []
    for operand, kind in enumerate(kinds):
        if kind != _REGISTER:
            continue
        register = instruction.op_register(operand)
        user = number(register)
        if user is None:
            if register not in _OTHERS:
                raise Unsupported("segment, control or debug register")
            continue
        access = info.op_access(operand)
        size = width(register)
        writes = access in _WRITES
        # Part of the old value may remain.
        merges = writes and (size < 4 or mnemonic in _BIT_SCANS)
        found.append(
            RegisterOperand(
                operand=operand,
                register=register,
                user=user,
                reads=access in _READS or merges,
                writes=writes,
                zero_extends=writes and size == 4 and mnemonic not in _MAY_KEEP,
            )
        )
    return tuple(found)


# With a destination of 32 bits these may keep all 64, or have two destinations of
# which one wins; all others zero-extend, including conditional moves and shifts by
# zero.
_MAY_KEEP: Final = frozenset(
    {
        Mnemonic.BSF,
        Mnemonic.BSR,
        Mnemonic.CMPXCHG,
        Mnemonic.XCHG,
        Mnemonic.XADD,
        Mnemonic.MULX,
    }
)


# AVX's own; those of AVX-512 have a mask register.
_MASKED: Final = frozenset(
    {
        Mnemonic.VMASKMOVPS,
        Mnemonic.VMASKMOVPD,
        Mnemonic.VPMASKMOVD,
        Mnemonic.VPMASKMOVQ,
    }
)


def _memory(instruction: Instruction, mnemonic: int) -> Memory:
    segment: int = instruction.memory_segment
    if segment == _GS:
        raise Unsupported("gs: is the kernel's own in kernel mode")
    access = mnemonic != _LEA and mnemonic not in SILENT
    fs = segment == _FS and access
    size = MemorySizeExt.size(instruction.memory_size) if access else 0
    if access and not 0 < size <= 64:
        raise Unsupported("memory operand of unknown size")
    if instruction.is_ip_rel_memory_operand:
        if fs:
            raise Unsupported("thread-local and relative to the instruction")
        address = instruction.ip_rel_memory_address
        return Memory(
            base=None,
            index=None,
            scale=1,
            displacement=address,
            size=size,
            fs=False,
            access=access,
        )
    base, index = instruction.memory_base, instruction.memory_index
    users: list[int | None] = []
    narrow = False
    for register in (base, index):
        user = number(register)
        users.append(user)
        if user is not None:
            narrow = narrow or width(register) == 4
        elif register != _NO_REGISTER:
            raise Unsupported("vector of addresses")
    return Memory(
        base=users[0],
        index=users[1],
        scale=instruction.memory_index_scale,
        displacement=_displacement(instruction),
        size=size,
        fs=fs,
        access=access,
        narrow=narrow,
    )


def _is_masked(instruction: Instruction, mnemonic: int) -> bool:
    return mnemonic in _MASKED or instruction.op_mask != _NO_REGISTER


def _constant(memory: Memory) -> bool:
    return memory.base is None and memory.index is None


def _displacement(instruction: Instruction) -> int:
    displacement: int = instruction.memory_displacement
    if width(instruction.memory_base) == 4 or width(instruction.memory_index) == 4:
        return displacement - (1 << 32) if displacement >> 31 else displacement
    return signed64(displacement)


def is_syscall(instruction: Instruction) -> bool:
    """Whether ``instruction`` is a ``syscall``."""
    return bool(instruction.code == Code.SYSCALL)
