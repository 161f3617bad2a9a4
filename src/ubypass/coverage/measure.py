# SPDX-License-Identifier: GPL-2.0-only
"""Counts the translatable code of a program, and the reasons for refusals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from iced_x86 import Code

from ubypass.abi import Abi
from ubypass.coverage.functions import functions
from ubypass.errors import UbError
from ubypass.process.elf import ElfFile
from ubypass.translate.probe import refusals

__all__ = ["Blocker", "Coverage", "measure", "require_code"]

_CODES = {value: name for name, value in vars(Code).items() if name.isupper()}


@dataclass(frozen=True, slots=True)
class Blocker:
    """An instruction form (iced's name), the reason for its refusal, and its count."""

    code: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """The coverage of one file: numbers of functions, blocks and instructions.

    ``blocks`` and ``instructions`` are at least 1. A block counts as translated if all
    of its instructions are. ``blockers``: the refused forms, most frequent first.
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
    """Measure all functions of ``elf``; ``progress`` is called with each start address.

    Raises ``UbError`` with the reason if there is no code to measure.
    """
    abi = abi or Abi()
    require_code(elf)
    ranges = elf.function_ranges()
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
            f"no functions found in {elf.name}",
            "the file has only data, or no symbols and no .eh_frame",
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
    """Raise ``UbError`` unless ``elf`` has loadable code and is linked."""
    if elf.relocatable:
        raise UbError(
            f"{elf.name} is an object file or a kernel module, and so not linked",
            "give the linked program or library",
        )
    if not any(segment.executable for segment in elf.segments):
        raise UbError(
            f"{elf.name} has no loadable code",
            "the file has only data or debugging information, or damaged headers",
        )
