# SPDX-License-Identifier: GPL-2.0-only
"""Shares and blockers of small libraries, and of one that everybody has."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

import pytest

from tests.coverage.build import shared
from ubypass.coverage.measure import measure
from ubypass.errors import UbError
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


def test_nothing_is_not_all(tmp_path: Path) -> None:
    with pytest.raises(UbError, match=r"no (functions|loadable code)"):
        measure(open_elf(str(shared(".data\n.quad 1\n", tmp_path))))
    with pytest.raises(UbError, match="no functions found"):
        # Executable bytes that nothing says to be a function.
        measure(open_elf(str(shared(".text\n.zero 64\n", tmp_path))))


def test_what_is_not_linked_has_no_code_yet(tmp_path: Path) -> None:
    source = tmp_path / "object.s"
    source.write_text(_SOURCE)
    made = tmp_path / "object.ko"
    subprocess.run(["gcc", "-c", "-o", made, source], check=True)
    with pytest.raises(UbError, match="not linked"):
        measure(open_elf(str(made)))


@pytest.mark.parametrize(
    ("at", "size", "value"),
    # e_phnum, e_phoff
    [(56, 2, 0), (32, 8, 0), (32, 8, 1 << 40)],
)
def test_damaged_program_headers(
    tmp_path: Path, at: int, size: int, value: int
) -> None:
    image = bytearray(shared(_SOURCE, tmp_path).read_bytes())
    image[at : at + size] = value.to_bytes(size, "little")
    damaged = tmp_path / "damaged"
    damaged.write_bytes(image)
    with pytest.raises(UbError, match=r"no code|damaged"):
        measure(open_elf(str(damaged)))


@pytest.mark.parametrize("field", [4, 32])
@pytest.mark.parametrize("value", [0, 1 << 30])
def test_damaged_segments(tmp_path: Path, field: int, value: int) -> None:
    """p_flags, p_filesz: it is all that was there, or an error."""
    whole = shared(_SOURCE, tmp_path)
    wanted = measure(open_elf(str(whole)))
    image = bytearray(whole.read_bytes())
    table = int.from_bytes(image[32:40], "little")
    for at in range(table, table + 56 * int.from_bytes(image[56:58], "little"), 56):
        size = 4 if field == 4 else 8
        image[at + field : at + field + size] = value.to_bytes(size, "little")
    damaged = tmp_path / "damaged"
    damaged.write_bytes(image)
    try:
        found = measure(open_elf(str(damaged)))
    except UbError:
        return
    assert found.instructions == wanted.instructions


def test_damaged_unwind_tables(tmp_path: Path) -> None:
    whole = shared(_SOURCE, tmp_path)
    section = open_elf(str(whole))._section(".eh_frame")
    assert section is not None
    image = whole.read_bytes()
    at = image.index(section[1])
    damaged = tmp_path / "damaged"
    for byte in range(len(section[1])):
        for value in (0x7F, 0xFF):
            copy = bytearray(image)
            copy[at + byte] = value
            damaged.write_bytes(copy)
            with contextlib.suppress(UbError):
                assert measure(open_elf(str(damaged))).instructions > 0


def test_progress_is_told(tmp_path: Path) -> None:
    seen: list[int] = []
    elf = open_elf(str(shared(_SOURCE, tmp_path)))
    measure(elf, progress=seen.append)
    assert seen == [elf.address_of("one")]
