# SPDX-License-Identifier: GPL-2.0-only
"""The input of the runner: a translation, its original, and a user's memory.

Depends on regions and translations; independent of how
:mod:`ubypass.native.runner` runs them.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from iced_x86 import Instruction, InstructionInfoFactory, Register, RegisterExt

from ubypass.abi import Abi, Translation
from ubypass.native.live import ARITHMETIC, live_flags
from ubypass.region.graph import End, Region

__all__ = [
    "ABI",
    "Area",
    "Case",
    "Kind",
    "Layout",
    "arrange",
    "live_flags",
    "make_case",
]

PAGE = 4096
#: The runner fills dispatches of this size.
ABI = Abi(dispatch_size=24, dispatch_vector_size=24)

# The last page of user space is mapped, to test addresses just below the limit.
_TOP = (1 << 47) - 2 * PAGE
# Bytes of a planted end: jmp [rip] and the address.
_END = 14
_FACTORY = InstructionInfoFactory()


class Kind(enum.IntEnum):
    """The kind of a register's initial value (``enum ub_register``)."""

    ANY = 0
    POINTER = 1
    INDEX = 2
    SMALL = 3
    STACK = 4
    #: A pointer more often than not.
    NATURAL = 5


@dataclass(frozen=True, slots=True)
class Area:
    """Whole pages of user memory; random ``content`` unless given."""

    address: int
    size: int
    write: bool = False
    code: bool = False
    content: bytes | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """Addresses of the memory of every user.

    Two pages of data, followed by a read-only page; two pages of stack; and one page
    that ``fs`` points into.
    """

    data: int
    stack: int
    thread: int

    @property
    def fsbase(self) -> int:
        """The user's fs base."""
        return self.thread + 0x800

    @property
    def rsp(self) -> int:
        """The approximate initial value of the user's rsp."""
        return self.stack + PAGE

    @property
    def areas(self) -> tuple[Area, ...]:
        """All areas of the layout."""
        return (
            Area(self.data, 2 * PAGE, write=True),
            Area(self.data + 2 * PAGE, PAGE),
            Area(self.stack, 2 * PAGE, write=True),
            Area(self.thread, PAGE, write=True),
            Area(_TOP, PAGE),
        )


def arrange(text: int) -> Layout:
    """A layout with the data within reach of code at ``text``."""
    return Layout(text + 0x100_0000, text + 0x200_0000, text + 0x300_0000)


@dataclass(frozen=True, slots=True)
class Case:
    """A translation and its original.

    ``entries``: the resume addresses to enter at; ``ends``: addresses in the text at
    which the original has left the region; ``sites``: addresses of its system calls.
    ``live``: the eflags bits that must be right at each exit: the live ones, or all if
    the translation claims exact flags; ``bases``: for each exit a mask of the registers
    with an address for the instruction there. ``registers``: the kind of each initial
    value and a bias to subtract; ``ignore``: registers whose value may differ.
    ``budget``: of each run; 0: random. ``plain``: no unusual vector control words.
    """

    translation: Translation
    layout: Layout
    areas: tuple[Area, ...]
    entries: tuple[int, ...]
    ends: tuple[int, ...]
    sites: tuple[int, ...]
    live: tuple[int, ...]
    bases: tuple[int, ...]
    registers: tuple[tuple[Kind, int], ...]
    abi: Abi = ABI
    max_dispatches: int = 4
    budget: int = 0
    ignore: frozenset[int] = field(default_factory=frozenset)
    plain: bool = False


def make_case(
    region: Region,
    translation: Translation,
    code: Mapping[int, bytes],
    layout: Layout,
    registers: Sequence[tuple[Kind, int]] | None = None,
    **more: object,
) -> Case:
    """A case for ``region``; ``code`` is the user's text by address.

    Pages of ``code`` are padded with ``int3``.
    """
    live = live_flags(region)
    bases = {i.ip: _bases(i) for b in region.blocks.values() for i in b.instructions}
    texts = _pages(code)
    inside = sorted((block.start, block.next_ip) for block in region.blocks.values())
    ends: dict[int, None] = {}
    for block in region.blocks.values():
        wanted = [t for t in block.targets if t not in region.blocks]
        if block.end in (End.CALL, End.CALL_INDIRECT):
            wanted.append(block.next_ip)
        for target in wanted:
            if _room(target, inside, texts, list(ends)) and len(ends) < 64:
                ends[target] = None
    sites = [
        instruction.ip
        for block in region.blocks.values()
        for instruction in block.instructions
        if block.end == End.SYSCALL and instruction is block.instructions[-1]
    ]
    areas = tuple(
        Area(start, len(content), code=True, content=content)
        for start, content in texts.items()
    )
    kinds = (
        registers
        or [(Kind.NATURAL, 0)] * 4 + [(Kind.STACK, 0)] + [(Kind.NATURAL, 0)] * 11
    )
    return Case(
        translation=translation,
        layout=layout,
        areas=areas + layout.areas,
        entries=tuple(dict.fromkeys([e.user_ip for e in translation.entries])),
        ends=tuple(ends),
        sites=tuple(sites),
        live=tuple(
            ARITHMETIC if exact else live.get(leave.user_ip, ARITHMETIC)
            for leave, exact in zip_longest(translation.exits, translation.exact)
        ),
        bases=tuple(bases.get(e.user_ip, 0) for e in translation.exits),
        registers=tuple(kinds),
        **more,  # type: ignore[arg-type]
    )


def _bases(instruction: Instruction) -> int:
    """A mask of the base registers of the instruction's memory operands."""
    found = 0
    for used in _FACTORY.info(instruction).used_memory():
        full = RegisterExt.full_register(used.base)
        if Register.RAX <= full <= Register.R15:
            found |= 1 << (full - Register.RAX)
    return found


def _pages(code: Mapping[int, bytes]) -> dict[int, bytes]:
    """The text as runs of whole pages, by start address."""
    pages: dict[int, bytearray] = {}
    for start, content in code.items():
        for base in range(start & -PAGE, start + len(content), PAGE):
            page = pages.setdefault(base, bytearray(b"\xcc" * PAGE))
            first = max(start, base)
            last = min(start + len(content), base + PAGE)
            page[first - base : last - base] = content[first - start : last - start]
    runs: dict[int, bytes] = {}
    at = -1
    for base in sorted(pages):
        if at >= 0 and at + len(runs[at]) == base:
            runs[at] += bytes(pages[base])
        else:
            at = base
            runs[at] = bytes(pages[base])
    return runs


def _room(
    target: int,
    inside: Sequence[tuple[int, int]],
    texts: Mapping[int, bytes],
    ends: Sequence[int],
) -> bool:
    """Whether an end can be planted at ``target``."""
    if not any(
        start <= target and target + _END <= start + len(content)
        for start, content in texts.items()
    ):
        return False
    if any(start < target + _END and target < stop for start, stop in inside):
        return False
    return all(abs(end - target) >= _END for end in ends)
