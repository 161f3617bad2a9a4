# SPDX-License-Identifier: GPL-2.0-only
"""ELF files: kinds, segments, symbols, damage."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from ubypass.errors import UbError
from ubypass.process.elf import (
    ElfFile,
    ElfKind,
    Segment,
    elf_kind,
    open_elf,
    parse_elf,
)

_SOURCE = """\
.globl one, _one, __one_alias
.type one, @function
.type _one, @function
.text
_one:
one: nop
nop
ret
.size one, .-one
.size _one, .-_one
int3
.type two, @function
two: ret
.size two, .-two
.globl _start
_start: syscall
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    folder = tmp_path_factory.mktemp("elf")
    source = folder / "small.s"
    source.write_text(_SOURCE)
    subprocess.run(
        ["gcc", "-nostdlib", "-static", "-o", folder / "small", source], check=True
    )
    return folder / "small"


def _head(bits: int, machine: int) -> bytes:
    return b"\x7fELF" + bytes([bits, 1, 1]) + bytes(9) + struct.pack("<HH", 2, machine)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (_head(2, 62), ElfKind.X86_64),
        (_head(1, 62), ElfKind.X32),
        (_head(1, 3), ElfKind.I386),
        (_head(2, 183), ElfKind.OTHER),
        (b"#!/bin/sh\n" + bytes(20), ElfKind.NOT_ELF),
        (b"\x7fELF", ElfKind.NOT_ELF),
    ],
)
def test_kinds(head: bytes, kind: ElfKind) -> None:
    assert elf_kind(head) is kind


def test_the_plainest_of_several_names_wins(program: Path) -> None:
    elf = open_elf(str(program))
    address = elf.address_of("one")
    assert address is not None
    assert elf.symbol_at(address) == ("one", 0)
    assert elf.symbol_at(address + 2) == ("one", 2)


def test_the_space_between_functions_has_no_name(program: Path) -> None:
    elf = open_elf(str(program))
    two = elf.address_of("two")
    assert two is not None
    assert elf.symbol_at(two - 1) is None
    assert elf.symbol_at(two) == ("two", 0)
    assert elf.symbol_at(0) is None


def test_offsets_become_addresses(program: Path) -> None:
    elf = open_elf(str(program))
    code = next(s for s in elf.segments if s.executable)
    assert elf.address_of_offset(code.offset + 2) == code.address + 2
    assert elf.address_of_offset(1 << 40) is None


def test_unknown_symbol(program: Path) -> None:
    assert open_elf(str(program)).address_of("no_such_function") is None


def test_an_image_in_memory_is_as_good_as_a_file(program: Path) -> None:
    image: ElfFile = parse_elf(program.read_bytes(), "copy")
    assert sorted(image.functions()) == sorted(open_elf(str(program)).functions())


def test_damaged_and_foreign_files_are_errors_for_people(
    program: Path, tmp_path: Path
) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\necho this is a script\n")
    with pytest.raises(UbError, match="not an ELF file"):
        open_elf(str(script))
    with pytest.raises(UbError, match="No such file"):
        open_elf(str(tmp_path / "missing"))
    whole = program.read_bytes()
    for length in (24, 64, 200, len(whole) - 40):
        cut = tmp_path / f"cut{length}"
        cut.write_bytes(whole[:length])
        with pytest.raises(UbError, match="damaged"):
            open_elf(str(cut))


def test_packed_and_unpacked_it_says_the_same(program: Path) -> None:
    elf = open_elf(str(program))
    again = ElfFile.unpack(elf.pack(), elf.name)
    assert again.segments == elf.segments
    assert all(isinstance(segment, Segment) for segment in again.segments)
    assert list(again.functions()) == list(elf.functions())
    empty = ElfFile("none")
    assert list(ElfFile.unpack(empty.pack(), "none").functions()) == []


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(UbError, match="is a FIFO"):
        open_elf(str(fifo))
    with pytest.raises(UbError, match="is a device"):
        open_elf("/dev/zero")


def test_a_section_that_claims_to_be_huge_is_not_read(
    program: Path, tmp_path: Path
) -> None:
    bomb = tmp_path / "bomb"
    bomb.write_bytes(swollen(program.read_bytes()))
    os.truncate(bomb, 1 << 34)
    with pytest.raises(UbError, match="too large: 6,442,450,944 bytes"):
        open_elf(str(bomb))


def swollen(image: bytes, size: int = 24 << 28) -> bytes:
    """The ELF file ``image`` with a symbol table of so many bytes (Elf64_Shdr)."""
    result = bytearray(image)
    table = int.from_bytes(image[40:48], "little")
    count = int.from_bytes(image[60:62], "little")
    for at in range(table, table + 64 * count, 64):
        if int.from_bytes(image[at + 4 : at + 8], "little") == 2:  # SHT_SYMTAB
            result[at + 32 : at + 40] = size.to_bytes(8, "little")
    return bytes(result)


def test_names_are_short_and_harmless(program: Path) -> None:
    image = program.read_bytes()
    evil = image.replace(b"\0two\0", b"\0\x1bw\a\0", 1)
    assert evil != image
    names = {name for name, _, _ in parse_elf(evil, "evil").functions()}
    assert "?w?" in names


def test_names_without_an_end_are_cut(program: Path) -> None:
    elf = open_elf(str(program))
    elf._strings = b"x" * (1 << 20)
    assert {len(name) for name, _, _ in elf.functions()} == {1024}
