# SPDX-License-Identifier: GPL-2.0-only
"""Shares and blockers of small libraries, and of one that everybody has."""

from __future__ import annotations

from pathlib import Path

from tests.coverage.build import shared
from ubypass.coverage.measure import measure
from ubypass.process.elf import open_elf

_SOURCE = """
.globl one
.type one, @function
one: .cfi_startproc
mov $39, %eax
syscall
cpuid
hlt
cpuid
add %rax, %gs:8
je one
ret
.cfi_endproc
"""


def test_counts_and_reasons(tmp_path: Path) -> None:
    found = measure(open_elf(str(shared(_SOURCE, tmp_path))))
    assert (found.functions, found.blocks, found.instructions) == (1, 3, 8)
    assert (found.blocks_translated, found.instructions_translated) == (2, 4)
    assert found.block_share == 2 / 3
    assert found.instruction_share == 0.5
    assert [(b.code, b.count) for b in found.blockers] == [
        ("CPUID", 2),
        ("ADD_RM64_R64", 1),
        ("HLT", 1),
    ]
    assert "gs:" in found.blockers[1].reason


def test_nearly_all_of_libc() -> None:
    found = measure(open_elf("/lib/x86_64-linux-gnu/libc.so.6"))
    assert found.instructions > 200_000
    assert found.instruction_share >= 0.995, found.blockers[:10]
    assert found.block_share >= 0.995


def test_no_code(tmp_path: Path) -> None:
    found = measure(open_elf(str(shared(".data\n.quad 1\n", tmp_path))))
    assert (found.instructions, found.instruction_share) == (0, 1.0)


def test_progress_is_told(tmp_path: Path) -> None:
    seen: list[int] = []
    elf = open_elf(str(shared(_SOURCE, tmp_path)))
    measure(elf, progress=seen.append)
    assert seen == [elf.address_of("one")]
