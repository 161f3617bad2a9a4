# SPDX-License-Identifier: GPL-2.0-only
"""Liveness of the arithmetic flags of user code.

One bit per flag, in iced's numbering (``RflagsBits``). Code outside the region is
assumed to read all flags.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from iced_x86 import Code, Instruction, Mnemonic, OpKind, RflagsBits

from ubypass.region.graph import Region
from ubypass.region.worklist import Worklist

__all__ = ["ARITHMETIC", "FlagUse", "flag_use", "flags_live"]

#: CF PF AF ZF SF OF.
ARITHMETIC: Final = int(
    RflagsBits.CF
    | RflagsBits.PF
    | RflagsBits.AF
    | RflagsBits.ZF
    | RflagsBits.SF
    | RflagsBits.OF
)

_SHIFTS: Final = frozenset(
    {
        Mnemonic.SHL,
        Mnemonic.SAL,
        Mnemonic.SHR,
        Mnemonic.SAR,
        Mnemonic.ROL,
        Mnemonic.ROR,
        Mnemonic.RCL,
        Mnemonic.RCR,
        Mnemonic.SHLD,
        Mnemonic.SHRD,
    }
)
# These clear AF on every CPU, although manuals call it undefined: the value of AF
# before them does not survive.
_LOGIC: Final = frozenset({Mnemonic.AND, Mnemonic.OR, Mnemonic.XOR, Mnemonic.TEST})


@dataclass(init=False)
class FlagUse:
    """Flags that an instruction reads, may change, and always overwrites."""

    reads: int
    changes: int
    kills: int

    def __init__(self, reads: int, changes: int, kills: int) -> None:
        # Explicit, so that mypyc compiles it.
        self.reads, self.changes, self.kills = reads, changes, kills


def flag_use(instruction: Instruction) -> FlagUse:
    """The effect of ``instruction`` on the arithmetic flags."""
    if instruction.code == Code.SYSCALL:
        # r11 receives all flags, and they stay unchanged.
        return FlagUse(ARITHMETIC, 0, 0)
    reads = int(instruction.rflags_read) & ARITHMETIC
    changes = int(instruction.rflags_modified) & ARITHMETIC
    kills: int = changes
    if instruction.mnemonic not in _LOGIC:
        # "Undefined" may mean "unchanged" on some CPU.
        kills &= ~int(instruction.rflags_undefined)
    if instruction.mnemonic in _SHIFTS and not _constant_count(instruction):
        kills = 0
    if instruction.has_rep_prefix or instruction.has_repne_prefix:
        # A string compare with a count of 0 changes nothing.
        kills = 0
    return FlagUse(reads, changes, kills)


def _constant_count(instruction: Instruction) -> bool:
    last = instruction.op_count - 1
    kind = instruction.op_kind(last)
    return bool(kind == OpKind.IMMEDIATE8 or kind == OpKind.IMMEDIATE8_2ND)


def flags_live(
    region: Region, known: Mapping[int, Sequence[FlagUse]] | None = None
) -> dict[int, tuple[int, ...]]:
    """For each block the flags that are live before each instruction, then at its end:
    one number more than the block has instructions.

    ``known`` may give the flag use of the first instructions of blocks.
    """
    uses: dict[int, list[FlagUse]] = {}
    for start, block in region.blocks.items():
        found = list(known[start]) if known is not None else []
        found += [flag_use(i) for i in block.instructions[len(found) :]]
        uses[start] = found
    live_in = dict.fromkeys(region.blocks, 0)
    todo = Worklist(region.blocks)
    while todo:
        start = todo.pop()
        live = _live_out(region, live_in, start)
        for use in reversed(uses[start]):
            live = (live & ~use.kills) | use.reads
        if live != live_in[start]:
            live_in[start] = live
            for source in region.predecessors.get(start, ()):
                todo.add(source)
    result: dict[int, tuple[int, ...]] = {}
    for start in region.blocks:
        live = _live_out(region, live_in, start)
        points = [live]
        for use in reversed(uses[start]):
            live = (live & ~use.kills) | use.reads
            points.append(live)
        result[start] = tuple(reversed(points))
    return result


def _live_out(region: Region, live_in: dict[int, int], start: int) -> int:
    block = region.blocks[start]
    if block.open:
        return ARITHMETIC
    live = 0
    for target in block.targets:
        live |= live_in.get(target, ARITHMETIC)
    return live
