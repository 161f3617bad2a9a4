# SPDX-License-Identifier: GPL-2.0-only
"""Every basic block of real programs, each a region of its own."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from iced_x86 import BlockEncoder, Code, Decoder, Instruction, OpKind, Register

from tests.fuzz.subject import HIGH_TEXT, PAGE, R11, RCX, Subject, registers
from ubypass.abi import SiteKey, Source
from ubypass.coverage.functions import functions
from ubypass.native.case import Area, Layout, arrange
from ubypass.process.elf import open_elf
from ubypass.region.graph import Block, End, Region, predecessors

__all__ = ["PROGRAMS", "block_subject", "blocks_of"]

#: Where programs usually are; those that are missing are left out.
PROGRAMS = (
    "/usr/lib/x86_64-linux-gnu/libc.so.6",
    "/usr/bin/redis-server",
    "/usr/sbin/nginx",
)
# Where the code that goes before a block is, and the data near the program.
_BEFORE = 0x4000_0000
_LAYOUT = 0x10_0000_0000


def programs() -> list[Path]:
    """Those of :data:`PROGRAMS` that are here."""
    return [Path(name) for name in PROGRAMS if Path(name).exists()]


def blocks_of(path: str | Path) -> Iterator[Block]:
    """The basic blocks of an ELF file at its own addresses, different ones only.

    Blocks that have the same bytes and do not refer to where they are count once.
    """
    elf = open_elf(str(path))
    ranges = elf.function_ranges()
    symbols = [(address, size) for _, address, size in elf.functions()]
    seen: set[tuple[object, ...]] = set()
    for function in functions(elf.executable_bytes(), ranges, symbols):
        for block in function.blocks:
            key = tuple(_shape(i) for i in block.instructions)
            if key not in seen:
                seen.add(key)
                yield block


def _shape(made: Instruction) -> tuple[int, ...]:
    """Equal for instructions that do the same, wherever they are."""
    origin = made.ip if made.is_ip_rel_memory_operand else 0
    return (
        made.code,
        made.memory_displacement - origin,
        *(made.op_register(number) for number in range(made.op_count)),
        *(made.memory_base, made.memory_index, made.memory_index_scale),
        *(made.immediate(n) for n in range(made.op_count) if _constant(made, n)),
    )


def _constant(made: Instruction, operand: int) -> bool:
    return bool(OpKind.IMMEDIATE8 <= made.op_kind(operand) <= OpKind.IMMEDIATE32TO64)


def block_subject(path: str, block: Block, text: bytes, seed: int) -> Subject:
    """The subject for one block; ``text`` is its bytes."""
    rng = random.Random(seed)
    moved, code = _moved(block, text)
    blocks = {moved.start: moved}
    entry = moved.start
    before = _before(moved, rng)
    if before is not None:
        first, data = before
        blocks[first.start] = first
        code[first.start] = data
        entry = first.start
    sources = tuple(Source(start, data) for start, data in sorted(code.items()))
    region = Region(
        blocks, (SiteKey(entry, 0),), sources, predecessors(blocks), (moved.start,)
    )
    layout = arrange(HIGH_TEXT + _LAYOUT)
    return Subject(
        name=f"{Path(path).name} {block.start:#x}",
        code=code,
        region=region,
        layout=layout,
        blocks=1,
        more_areas=_referred(moved, code, layout),
        first_only=True,
    )


def _moved(block: Block, text: bytes) -> tuple[Block, dict[int, bytes]]:
    """The block where a program would be loaded: all addresses shifted alike."""
    shift = HIGH_TEXT
    made = tuple(Decoder(64, text, ip=block.start + shift))
    targets: tuple[int, ...] = ()
    if block.end not in (End.RET, End.JUMP_INDIRECT, End.CALL_INDIRECT, End.STOP):
        targets = tuple(target + shift for target in block.targets)
    return (
        Block(
            block.start + shift,
            made,
            block.next_ip + shift,
            block.end,
            targets,
            (39,) if block.end == End.SYSCALL else (),
        ),
        {block.start + shift: text},
    )


def _before(block: Block, rng: random.Random) -> tuple[Block, bytes] | None:
    """Code that puts something else into rcx and r11 than what an entry finds."""
    used: set[int] = set()
    for instruction in block.instructions:
        used |= registers(instruction)
    if not used & {RCX, R11} or rng.random() < 0.2:
        return None
    free = [n for n in range(16) if n not in used and n not in (4, RCX, R11)]
    rng.shuffle(free)
    at = HIGH_TEXT + _BEFORE
    items: list[Instruction] = []
    for register in sorted(used & {RCX, R11}):
        if free:
            items.append(
                Instruction.create_reg_reg(
                    Code.MOV_R64_RM64,
                    Register.RAX + register,
                    Register.RAX + free.pop(),
                )
            )
        else:
            items.append(Instruction.create_reg(Code.POP_R64, Register.RAX + register))
    encoder = BlockEncoder(64)
    encoder.add_many(items)
    data = encoder.encode(at)
    distance = block.start - (at + len(data) + 5)
    jump = b"\xe9" + distance.to_bytes(4, "little", signed=True)
    if not -(1 << 31) <= distance < 1 << 31:
        return None
    data += jump
    made = tuple(Decoder(64, data, ip=at))
    return Block(at, made, at + len(data), End.JUMP, (block.start,)), data


def _referred(block: Block, code: dict[int, bytes], layout: Layout) -> tuple[Area, ...]:
    """Pages that the block names by address: some can be written, some only read."""
    pages: dict[int, None] = {}
    for instruction in block.instructions:
        if instruction.is_ip_rel_memory_operand:
            address = instruction.ip_rel_memory_address
            for page in (address & -PAGE, (address + 63) & -PAGE):
                pages[page] = None
    taken = set()
    for start, data in code.items():
        taken |= set(range(start & -PAGE, start + len(data), PAGE))
    return tuple(
        Area(page, PAGE, write=page >> 12 & 3 != 0)
        for page in list(pages)[:6]
        if page not in taken and 0 < page < 1 << 46
    )
