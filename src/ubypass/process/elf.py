# SPDX-License-Identifier: GPL-2.0-only
"""ELF files: their kind, loadable segments and function symbols.

Saves memory: only function symbols are kept, in packed arrays, with names left in the
string table. Independent of processes.
"""

from __future__ import annotations

import enum
import os
import re
import struct
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import IO, Any

from ubypass.errors import UbError
from ubypass.files import open_regular

__all__ = [
    "ElfFile",
    "ElfKind",
    "Segment",
    "elf_kind",
    "open_elf",
    "parse_elf",
    "read_elf",
]

_EM_386 = 3
_EM_X86_64 = 62
_STT_FUNC = 2
_STT_GNU_IFUNC = 10
_SYMBOL = struct.Struct("<IBBHQQ")  # Elf64_Sym: name info other shndx value size

#: Upper bounds in bytes of a section and of a segment. The largest programs of Linux
#: distributions stay below; a sparse file may claim any size.
_SECTION_MAX = 64 << 20
_SEGMENT_MAX = 1 << 30
_NAME_MAX = 1024  # bytes of a name
_ALIASES_MAX = 64  # names of one address to compare


class ElfKind(enum.Enum):
    """The kind of program by the first bytes of a file."""

    X86_64 = "a 64-bit x86 program"
    X32 = "an x32 program"
    I386 = "a 32-bit program"
    OTHER = "a program for another machine"
    NOT_ELF = "not an ELF file"


@dataclass(frozen=True, slots=True)
class Segment:
    """A loadable segment (PT_LOAD); sizes in bytes, virtual addresses."""

    address: int
    offset: int
    file_size: int
    executable: bool


def elf_kind(head: bytes) -> ElfKind:
    """Classify a file by its first 20 bytes."""
    if len(head) < 20 or head[:4] != b"\x7fELF":
        return ElfKind.NOT_ELF
    machine = int.from_bytes(head[18:20], "little")
    is_64 = head[4] == 2
    if head[5] != 1:
        return ElfKind.OTHER
    if machine == _EM_X86_64:
        return ElfKind.X86_64 if is_64 else ElfKind.X32
    return ElfKind.I386 if machine == _EM_386 else ElfKind.OTHER


class ElfFile:
    """Segments and function symbols of one ELF file; nothing else is kept in memory.

    ``relocatable``: the file is not linked yet: an object file or a kernel module.
    """

    def __init__(self, name: str, path: str = "") -> None:
        self.name = name
        self.relocatable = False
        self.segments: tuple[Segment, ...] = ()
        self._path = path
        self._values = array("Q")
        self._sizes = array("Q")
        self._names = array("Q")
        self._strings = b""

    @classmethod
    def read(cls, stream: IO[bytes], name: str, path: str = "") -> ElfFile:
        """Read an open file. A damaged file may raise any exception of pyelftools."""
        # Imported here: not needed to run a program, and the import is slow.
        from elftools.elf.elffile import ELFFile

        self = cls(name, path)
        elf = ELFFile(stream)
        self.relocatable = elf.header["e_type"] == "ET_REL"
        self.segments = tuple(
            Segment(s["p_vaddr"], s["p_offset"], s["p_filesz"], bool(s["p_flags"] & 1))
            for s in elf.iter_segments()
            if s["p_type"] == "PT_LOAD"
        )
        self._load_symbols(elf)
        return self

    def pack(self) -> bytes:
        """Segments and symbols as bytes, for :meth:`unpack`."""
        segments = [
            value.to_bytes(8, "little")
            for s in self.segments
            for value in (s.address, s.offset, s.file_size, s.executable)
        ]
        counts = (len(self.segments), len(self._values))
        return b"".join(
            (
                *(count.to_bytes(8, "little") for count in counts),
                *segments,
                *(table.tobytes() for table in self._tables()),
                self._strings,
            )
        )

    @classmethod
    def unpack(cls, data: bytes, name: str) -> ElfFile:
        """Restore a file from :meth:`pack`, without its contents."""
        self = cls(name)
        numbers = array("Q", data[:16])
        of_segments, of_symbols = numbers
        at = 16 + 32 * of_segments
        fields = iter(array("Q", data[16:at]))
        self.segments = tuple(
            Segment(address, offset, size, bool(executable))
            for address, offset, size, executable in zip(*[fields] * 4, strict=True)
        )
        for table in self._tables():
            table.frombytes(data[at : at + 8 * of_symbols])
            at += 8 * of_symbols
        self._strings = data[at:]
        return self

    def _tables(self) -> tuple[array[int], ...]:
        return self._values, self._sizes, self._names

    def _load_symbols(self, elf: Any) -> None:
        rows: list[tuple[int, int, int]] = []
        strings = b""
        for section_name in (".dynsym", ".symtab"):
            section = elf.get_section_by_name(section_name)
            if section is None:
                continue
            table = _content(elf.get_section(section["sh_link"]))
            data = _content(section)
            data = data[: len(data) - len(data) % _SYMBOL.size]
            for name, info, _, index, value, size in _SYMBOL.iter_unpack(data):
                if info & 15 in (_STT_FUNC, _STT_GNU_IFUNC) and index and name:
                    rows.append((value, size, name + len(strings)))
            strings += table
        rows.sort()
        self._strings = strings
        self._values.extend(row[0] for row in rows)
        self._sizes.extend(row[1] for row in rows)
        self._names.extend(row[2] for row in rows)

    def _name(self, index: int) -> str:
        start = self._names[index]
        end = self._strings.find(b"\0", start, start + _NAME_MAX)
        raw = self._strings[start : start + _NAME_MAX if end < 0 else end]
        name = raw.decode(errors="replace")
        # Names are printed on terminals, which would interpret control characters.
        return name if name.isprintable() else re.sub(r"[^ -~]", "?", name)

    def executable_bytes(self) -> dict[int, bytes]:
        """Contents of the executable segments by virtual address, read from the file.

        Raises UbError for a segment that is too large or incomplete.
        """
        contents = {}
        with open_regular(self._path) as file:
            for segment in self.segments:
                if not segment.executable:
                    continue
                if segment.file_size > _SEGMENT_MAX:
                    raise UbError(
                        f"{self.name} has too much code: {segment.file_size:,} bytes",
                        f"the limit is {_SEGMENT_MAX:,} bytes",
                    )
                file.seek(segment.offset)
                data = file.read(segment.file_size)
                if len(data) < segment.file_size:
                    raise UbError(f"{self.name} is a damaged ELF file: code is missing")
                contents[segment.address] = data
        return contents

    def _section(self, name: str) -> tuple[int, bytes] | None:
        """Virtual address and contents of a section in the file; None: missing."""
        from elftools.elf.elffile import ELFFile

        with open_regular(self._path) as file:
            found = ELFFile(file).get_section_by_name(name)
            return None if found is None else (int(found["sh_addr"]), _content(found))

    def function_ranges(self) -> list[tuple[int, int]]:
        """(start, size) in bytes of each function, from ``.eh_frame``.

        Compilers write an entry for every function for exception unwinding, and strip
        does not remove the entries; tables and padding have none. Raises UbError.
        """
        try:
            section = self._section(".eh_frame")
            return [] if section is None else _unwound(*section)
        except UbError:
            raise
        except Exception as error:
            # A damaged file may raise any exception.
            raise UbError(f"{self.name} is a damaged ELF file: {error}") from error

    def address_of_offset(self, offset: int) -> int | None:
        """Virtual address of a file offset; None if the offset is not loaded."""
        for segment in self.segments:
            if 0 <= offset - segment.offset < segment.file_size:
                return segment.address + offset - segment.offset
        return None

    def symbol_at(self, address: int) -> tuple[str, int] | None:
        """The function around ``address`` and the distance into it, in bytes.

        Several names may share an address: the plainest wins (no leading
        underscore, then the shortest). A symbol without a size reaches to the
        next one.
        """
        index = bisect_right(self._values, address) - 1
        if index < 0:
            return None
        value = self._values[index]
        first = index
        least = max(index - _ALIASES_MAX, 0)
        while first > least and self._values[first - 1] == value:
            first -= 1
        rows = range(first, index + 1)
        size = max(self._sizes[row] for row in rows)
        if size and address >= value + size:
            return None
        names = sorted((self._name(row) for row in rows), key=_plainness)
        return names[0], address - value

    def functions(self) -> Iterator[tuple[str, int, int]]:
        """All functions: name, address, size in bytes (0: unknown)."""
        for index, value in enumerate(self._values):
            yield self._name(index), value, self._sizes[index]

    def address_of(self, symbol: str) -> int | None:
        """Virtual address of the function called ``symbol``, if there is one."""
        return next((a for name, a, _ in self.functions() if name == symbol), None)


def _unwound(address: int, frames: bytes) -> list[tuple[int, int]]:
    """Ranges in the section ``frames`` at ``address``, sorted."""
    from elftools.dwarf.callframe import FDE, CallFrameInfo
    from elftools.dwarf.structs import DWARFStructs

    structs = DWARFStructs(little_endian=True, dwarf_format=32, address_size=8)
    entries = CallFrameInfo(
        BytesIO(frames), len(frames), address, structs, for_eh_frame=True
    ).get_entries()
    found = {
        (int(each["initial_location"]), int(each["address_range"]))
        for each in entries
        if isinstance(each, FDE)
    }
    return sorted((start, size) for start, size in found if size and start > 0)


def open_elf(path: str, name: str = "") -> ElfFile:
    """Read the ELF file at ``path``.

    Raises ``UbError`` if it is no 64-bit x86 ELF file or cannot be read.
    """
    return read_elf(open_regular(path), name or os.path.basename(path), path)


def read_elf(file: IO[bytes], name: str, path: str = "") -> ElfFile:
    """:func:`open_elf` for an open file, which is closed."""
    path = path or name
    try:
        with file:
            _require_kind(file.read(20), path)
            file.seek(0)
            return _parse(file, name, path)
    except OSError as error:
        raise UbError(f"cannot read {path}: {error.strerror}") from error


def parse_elf(image: bytes, name: str) -> ElfFile:
    """:func:`open_elf` for an ELF image in memory (the vDSO)."""
    _require_kind(image[:20], name)
    return _parse(BytesIO(image), name, name)


def _parse(stream: IO[bytes], name: str, path: str) -> ElfFile:
    try:
        return ElfFile.read(stream, name, path)
    except UbError:
        raise
    except Exception as error:
        # For damaged files pyelftools may raise any exception.
        raise UbError(f"{path} is a damaged ELF file: {error}") from error


def _content(section: Any) -> bytes:
    size = max(section["sh_size"], section.data_size)  # before and after inflation
    if size > _SECTION_MAX:
        raise UbError(
            f"section {section.name} is too large: {size:,} bytes",
            f"the limit is {_SECTION_MAX:,} bytes",
        )
    data: bytes = section.data()
    return data


def _require_kind(head: bytes, path: str) -> None:
    kind = elf_kind(head)
    if kind is not ElfKind.X86_64:
        raise UbError(f"{path} is {kind.value}", "give a 64-bit x86 ELF file")


def _plainness(name: str) -> tuple[bool, int, str]:
    return name.startswith("_"), len(name), name
