# SPDX-License-Identifier: GPL-2.0-only
"""Count what the translator takes of a program, and what stands in the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from iced_x86 import Code

from ubypass.abi import Abi
from ubypass.coverage.ehframe import function_ranges
from ubypass.coverage.functions import functions
from ubypass.process.elf import ElfFile
from ubypass.translate.probe import refusals

__all__ = ["Blocker", "Coverage", "measure"]

_CODES = {value: name for name, value in vars(Code).items() if name.isupper()}


@dataclass(frozen=True, slots=True)
class Blocker:
    """An instruction form (iced's name), why it is refused, how often it occurs."""

    code: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of one file: how many functions, blocks and instructions there are, how many
    of the latter two translate (a block: all of it), and what does not, most
    frequent first.
    """

    name: str
    functions: int
    blocks: int
    blocks_translated: int
    instructions: int
    instructions_translated: int
    blockers: tuple[Blocker, ...]

    @property
    def block_share(self) -> float:
        """Translated blocks / blocks."""
        return self.blocks_translated / self.blocks if self.blocks else 1.0

    @property
    def instruction_share(self) -> float:
        """Translated instructions / instructions."""
        if not self.instructions:
            return 1.0
        return self.instructions_translated / self.instructions


def measure(
    elf: ElfFile,
    abi: Abi | None = None,
    progress: Callable[[int], None] = lambda address: None,
) -> Coverage:
    """Look at every function of ``elf``; ``progress`` hears where each begins."""
    abi = abi or Abi()
    section = elf.section(".eh_frame")
    ranges = function_ranges(section[1], section[0]) if section else []
    symbols = [(address, size) for _, address, size in elf.functions()]
    count = blocks = instructions = bad_blocks = 0
    blockers: Counter[tuple[str, str]] = Counter()
    for function in functions(elf.executable_bytes(), ranges, symbols):
        progress(function.start)
        count += 1
        blocks += len(function.blocks)
        instructions += sum(len(block.instructions) for block in function.blocks)
        refused = refusals(function.blocks, abi)
        if not refused:
            continue
        places = set()
        for refusal in refused:
            places.add(refusal.instruction.ip)
            blockers[_CODES[refusal.instruction.code], refusal.reason] += 1
        bad_blocks += sum(
            any(i.ip in places for i in block.instructions) for block in function.blocks
        )
    ranked = sorted(blockers.items(), key=lambda item: (-item[1], item[0]))
    return Coverage(
        elf.name,
        count,
        blocks,
        blocks - bad_blocks,
        instructions,
        instructions - sum(blockers.values()),
        tuple(Blocker(code, reason, n) for (code, reason), n in ranked),
    )
