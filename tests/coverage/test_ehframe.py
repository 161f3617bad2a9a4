# SPDX-License-Identifier: GPL-2.0-only
"""Ranges of functions from what GNU as writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.coverage.build import shared
from ubypass.coverage.ehframe import function_ranges
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
    found = elf.section(".eh_frame")
    assert found is not None
    address, data = found
    one = elf.address_of("one")
    assert one is not None
    # A common entry with a personality routine is another one.
    assert function_ranges(data, address) == [(one, 1), (one + 9, 3)]


def test_long_lengths_and_ends(library: Path) -> None:
    found = open_elf(str(library)).section(".eh_frame")
    assert found is not None
    address, data = found
    # An end marker between parts, as some linkers leave behind; addresses of what
    # follows it are relative to their place.
    once = function_ranges(data, address)
    moved = function_ranges(bytes(4) + data, address - 4)
    assert moved == once


def test_nothing_in_nothing() -> None:
    assert function_ranges(b"", 0) == []
    assert function_ranges(bytes(4), 0) == []
