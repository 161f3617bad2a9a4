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
from ubypass.errors import UbError
from ubypass.process.elf import ElfFile
from ubypass.translate.probe import refusals

__all__ = ["Blocker", "Coverage", "measure", "require_code"]

_CODES = {value: name for name, value in vars(Code).items() if name.isupper()}


@dataclass(frozen=True, slots=True)
class Blocker:
    """An instruction form (iced's name), why it is refused, how often it occurs."""

    code: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of one file: how many functions, blocks and instructions there are (at least
    one), how many of the latter two translate (a block: all of it), and what does not,
    most frequent first.
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
        return self.blocks_translated / self.blocks

    @property
    def instruction_share(self) -> float:
        """Translated instructions / instructions."""
        return self.instructions_translated / self.instructions


def measure(
    elf: ElfFile,
    abi: Abi | None = None,
    progress: Callable[[int], None] = lambda address: None,
) -> Coverage:
    """Look at every function of ``elf``; ``progress`` hears where each begins.

    Raises ``UbError`` if there is nothing to look at, and says why.
    """
    abi = abi or Abi()
    require_code(elf)
    ranges = _ranges(elf)
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
    if not instructions:
        raise UbError(
            f"no function was found in {elf.name}",
            "it may hold only data, or its symbols and .eh_frame were removed",
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


def require_code(elf: ElfFile) -> None:
    """Raise ``UbError`` unless the headers of ``elf`` have code loaded."""
    if elf.relocatable:
        raise UbError(
            f"{elf.name} is not linked: an object file or a kernel module",
            "name the program or library that is made of it",
        )
    if not any(segment.executable for segment in elf.segments):
        raise UbError(
            f"{elf.name} has no code that would be loaded",
            "it holds only data or debugging information, or its headers are damaged",
        )


def _ranges(elf: ElfFile) -> list[tuple[int, int]]:
    try:
        section = elf.section(".eh_frame")
        return function_ranges(section[1], section[0]) if section else []
    except UbError:
        raise
    except Exception as error:
        # Damaged in one of many ways; none is our bug.
        raise UbError(f"{elf.name} is a damaged ELF file: {error}") from error
