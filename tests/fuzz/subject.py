# SPDX-License-Identifier: GPL-2.0-only
"""What a generator makes, and the case it becomes.

Registers are filled with what their first use wants: found here by looking at the
code backwards.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from iced_x86 import (
    Decoder,
    Instruction,
    InstructionInfoFactory,
    Mnemonic,
    OpAccess,
    OpKind,
    Register,
    RegisterExt,
)

from ubypass.abi import Abi, Exit, ExitReason, Translation
from ubypass.native.case import ABI, Area, Case, Kind, Layout, arrange, make_case
from ubypass.region.graph import Region
from ubypass.translate.translate import translate

HIGH_TEXT = 0x1234_5678_0000
#: Just out of reach of 32 bits: an address cut off there leads elsewhere.
MIDDLE_TEXT = 0x12_3456_0000
LOW_TEXT = 0x6234_0000
PAGE = 4096
# Of all layouts, those with the text there: up to so much.
_LOW, _MIDDLE = 0.25, 0.4

_FACTORY = InstructionInfoFactory()
_STRINGS = frozenset(
    {
        OpKind.MEMORY_ESRDI,
        OpKind.MEMORY_SEG_RSI,
        OpKind.MEMORY_SEG_RDI,
        OpKind.MEMORY_ESEDI,
        OpKind.MEMORY_SEG_ESI,
    }
)
_WRITES = frozenset(
    {
        *(OpAccess.WRITE, OpAccess.COND_WRITE, OpAccess.READ_WRITE),
        OpAccess.READ_COND_WRITE,
    }
)
_SHIFTS = frozenset(
    {
        *(Mnemonic.SHL, Mnemonic.SHR, Mnemonic.SAR, Mnemonic.ROL, Mnemonic.ROR),
        *(Mnemonic.RCL, Mnemonic.RCR, Mnemonic.SHLD, Mnemonic.SHRD),
    }
)
RCX, RSP, R11 = 1, 4, 11


@dataclass
class Subject:
    """User code to be translated and run.

    ``code`` is the text by address, ``tested`` what is counted as hit once control
    has got past it: address → form. ``ignore``: registers that differ from run to
    run.
    """

    name: str
    code: dict[int, bytes]
    region: Region
    layout: Layout
    tested: dict[int, int] = field(default_factory=dict)
    ignore: frozenset[int] = frozenset()
    blocks: int = 0
    more_areas: tuple[Area, ...] = ()
    #: Whether control enters at the first entry only.
    first_only: bool = False

    def instructions(self) -> list[Instruction]:
        """All instructions, by address."""
        return sorted(
            (i for b in self.region.blocks.values() for i in b.instructions),
            key=lambda i: i.ip,
        )


def number(register: int) -> int | None:
    """Of the general register that ``register`` is part of."""
    full = RegisterExt.full_register(register)
    if Register.RAX <= full <= Register.R15:
        return int(full - Register.RAX)
    return None


def registers(made: Instruction) -> set[int]:
    """General registers that an instruction uses in any way."""
    found = set()
    for used in _FACTORY.info(made).used_registers():
        register = number(used.register)
        if register is not None:
            found.add(register)
    return found


def kinds(instructions: Iterable[Instruction]) -> list[tuple[Kind, int]]:
    """How to fill each register, so that straight-line code gets far."""
    want: dict[int, tuple[Kind, int]] = {}
    for instruction in reversed(list(instructions)):
        _before(instruction, want)
    found = [want.get(n, (Kind.ANY, 0)) for n in range(16)]
    # Pushes and calls need it, whatever else it is used for.
    found[RSP] = (Kind.STACK, 0)
    return found


def _before(instruction: Instruction, want: dict[int, tuple[Kind, int]]) -> None:
    moved = (
        instruction.mnemonic == Mnemonic.MOV
        and instruction.op0_kind == instruction.op1_kind == OpKind.REGISTER
        and RegisterExt.size(instruction.op0_register) == 8
    )
    if moved:
        to, source = number(instruction.op0_register), number(instruction.op1_register)
        if to is not None and source is not None:
            if to in want:
                want[source] = want.pop(to)
            return
    info = _FACTORY.info(instruction)
    for used in info.used_registers():
        register = number(used.register)
        if register is not None and used.access in (OpAccess.WRITE,):
            want.pop(register, None)
    if instruction.mnemonic in _SHIFTS or (
        instruction.has_rep_prefix or instruction.has_repne_prefix
    ):
        want.setdefault(RCX, (Kind.SMALL, 0))
    if instruction.mnemonic in (Mnemonic.DIV, Mnemonic.IDIV):
        want[2] = (Kind.SMALL, 0)
    for operand in range(instruction.op_count):
        kind = instruction.op_kind(operand)
        if kind == OpKind.MEMORY and instruction.mnemonic != Mnemonic.LEA:
            _address(instruction, want)
        elif kind in _STRINGS:
            from_rsi = kind in (OpKind.MEMORY_SEG_RSI, OpKind.MEMORY_SEG_ESI)
            want[6 if from_rsi else 7] = (Kind.POINTER, 0)


def _address(instruction: Instruction, want: dict[int, tuple[Kind, int]]) -> None:
    displacement = instruction.memory_displacement
    base, index = number(instruction.memory_base), number(instruction.memory_index)
    if instruction.is_ip_rel_memory_operand:
        return
    if instruction.segment_prefix == Register.FS:
        for register in (base, index):
            if register is not None:
                want[register] = (Kind.INDEX, 0)
        return
    if base is not None:
        want[base] = (Kind.POINTER, displacement)
    if index is not None and index != base:
        want[index] = (Kind.INDEX, 0)


def case_of(
    subject: Subject,
    rng: random.Random,
    translation: Translation | None = None,
    abi: Abi = ABI,
) -> Case:
    """The case of a subject; ``translation`` is for ``abi``, or made here."""
    if translation is None:
        translation = translate(subject.region, abi)
    wanted = kinds(subject.instructions())
    for register, (_, bias) in enumerate(wanted):
        if register != RSP and rng.random() < 0.1:
            wanted[register] = (rng.choice((Kind.ANY, Kind.NATURAL)), bias)
    case = make_case(subject.region, translation, subject.code, subject.layout, wanted)
    case = replace(
        case,
        abi=abi,
        ignore=subject.ignore,
        areas=_distinct(case.areas, subject.more_areas),
    )
    if subject.first_only:
        case = replace(case, entries=case.entries[:1])
    return case


def with_nonpointers(subject: Subject, rng: random.Random) -> Subject:
    """Often the same as if it were known of some registers, rightly or not, that they
    hold no address here and there.
    """
    if rng.random() < 0.5:
        return subject
    share, known = rng.choice((0.05, 0.3, 1.0)), dict[int, int]()
    for instruction in subject.instructions():
        if rng.random() < share:
            mask = rng.choice((0xFFFF, rng.getrandbits(16), 1 << rng.randrange(16)))
            known[instruction.ip] = mask
    return replace(subject, region=replace(subject.region, nonpointers=known))


def _distinct(areas: tuple[Area, ...], more: tuple[Area, ...]) -> tuple[Area, ...]:
    """Both, without what is there already."""
    found = list(areas)
    for area in more:
        if all(
            area.address + area.size <= known.address
            or known.address + known.size <= area.address
            for known in found
        ):
            found.append(area)
    return tuple(found)


def layout_for(rng: random.Random) -> tuple[int, Layout]:
    """Where the text is, and the rest: high up, or where 32 bits reach, or close by."""
    which = rng.random()
    near = LOW_TEXT if which < _LOW else MIDDLE_TEXT
    text = near if which < _MIDDLE else HIGH_TEXT
    return text, arrange(text)


def passed(
    subject: Subject, translation: Translation, taken: Mapping[int, int]
) -> set[int]:
    """The tested forms that were translated and executed.

    ``taken`` is how often each exit was taken.
    """
    hit: set[int] = set()
    exits = translation.exits
    reached = [exits[n] for n, times in taken.items() if times]
    for address, form in subject.tested.items():
        if any(_beyond(leave, address) for leave in reached):
            hit.add(form)
    return hit


def _beyond(leave: Exit, address: int) -> bool:
    if leave.user_ip == address:
        # It did run, and did what it cannot do without the kernel.
        return leave.reason == ExitReason.FAULT
    return leave.user_ip > address or leave.reason in (
        *(ExitReason.RET_MISS, ExitReason.CALL_MISS, ExitReason.JUMP_MISS),
    )


def decode(code: bytes, ip: int) -> list[Instruction]:
    """All instructions of straight code."""
    return list(Decoder(64, code, ip=ip))
