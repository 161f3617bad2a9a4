# SPDX-License-Identifier: GPL-2.0-only
"""Ranges of functions from what GNU as writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.coverage.build import shared
from ubypass.errors import UbError
from ubypass.process import elf as elf_module
from ubypass.process.elf import open_elf

_SOURCE = """
.globl one
.type one, @function
one: .cfi_startproc
ret
.cfi_endproc
.quad 0x1122334455667788
two: .cfi_startproc
.cfi_personality 0x9b, there
.cfi_lsda 0x1b, table
push %rbx
.cfi_adjust_cfa_offset 8
pop %rbx
ret
.cfi_endproc
none: ret
.data
there: .quad personality
.section .rodata
table: .byte 0xff
.text
personality: ret
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shared(_SOURCE, tmp_path_factory.mktemp("eh"))


def test_every_entry_and_nothing_else(library: Path) -> None:
    elf = open_elf(str(library))
    one = elf.address_of("one")
    assert one is not None
    # A common entry with a personality routine is another one.
    assert elf.function_ranges() == [(one, 1), (one + 9, 3)]


def test_an_end_marker_between_parts(library: Path) -> None:
    elf = open_elf(str(library))
    once = elf.function_ranges()
    found = elf._section(".eh_frame")
    assert found is not None
    address, frames = found
    # Some linkers leave one behind; what follows it is relative to its place.
    assert elf_module._unwound(address - 4, bytes(4) + frames) == once


@pytest.mark.parametrize("frames", [b"", bytes(4)])
def test_nothing_in_nothing(frames: bytes) -> None:
    assert elf_module._unwound(0, frames) == []


def test_a_damaged_section_is_the_file_s_fault(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elf = open_elf(str(library))
    monkeypatch.setattr(elf, "_section", lambda name: (0, b"\x40\0\0\0\1\2\3\4"))
    with pytest.raises(UbError, match="damaged ELF file"):
        elf.function_ranges()
