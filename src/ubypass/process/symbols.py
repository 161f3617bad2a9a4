# SPDX-License-Identifier: GPL-2.0-only
"""Names for the addresses of a live process: ``libc.so.6:pread64+0x12``.

A file is opened only for an address in the file, and few files are kept. The process
has chosen these files and the reader is root: only files that are really mapped are
opened, and they are parsed in a child process within bounds.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from typing import Protocol

from ubypass.errors import UbError
from ubypass.files import open_regular
from ubypass.process.bounded import bounded
from ubypass.process.elf import ElfFile, parse_elf, read_elf
from ubypass.process.maps import MemoryMap, VmArea

__all__ = ["Readable", "Symbols"]

_FILES_KEPT = 4

# Bounds for one file; the largest libraries take a tenth, under emulation too.
_SECONDS = 10.0
_MEMORY = 256 << 20
_SYMBOLS = 32 << 20
#: Seconds for all files of a process; addresses in further files have no names.
_PATIENCE = 20.0


class Readable(Protocol):
    """The part of ``ProcessMemory`` in use."""

    @property
    def pid(self) -> int: ...

    @property
    def maps(self) -> MemoryMap: ...

    def read_data(self, address: int, size: int) -> bytes: ...


class Symbols:
    """Names of the addresses of the process of ``memory``."""

    def __init__(self, memory: Readable) -> None:
        self._memory = memory
        self._files: OrderedDict[tuple[str, int], ElfFile | None] = OrderedDict()
        self._patience = _PATIENCE

    def name(self, address: int) -> str:
        """``file:function+0x12``, ``file+0x1234`` without a symbol, or ``0x7f…``."""
        area = self._memory.maps.find(address)
        if area is None or not area.path:
            return f"{address:#x}"
        short = os.path.basename(area.path.removesuffix(" (deleted)")).strip("[]")
        elf = self._file(area)
        offset = area.offset + address - area.start
        inner = elf.address_of_offset(offset) if elf is not None else None
        if elf is None or inner is None:
            return f"{short}+{offset:#x}"
        found = elf.symbol_at(inner)
        if found is None:
            return f"{short}+{inner:#x}"
        function, distance = found
        return f"{short}:{function}" + (f"+{distance:#x}" if distance else "")

    def _file(self, area: VmArea) -> ElfFile | None:
        key = area.path, area.inode
        if key not in self._files:
            while len(self._files) >= _FILES_KEPT:
                self._files.popitem(last=False)
            self._files[key] = self._open(area)
        self._files.move_to_end(key)
        return self._files[key]

    def _open(self, area: VmArea) -> ElfFile | None:
        """The symbols of the file at ``area``; None on errors: names are optional."""
        name = os.path.basename(area.path)
        if area.path == "[vdso]":
            image = self._memory.read_data(area.start, area.end - area.start)

            def read() -> ElfFile:
                return parse_elf(image, "vdso")
        elif area.is_file:

            def read() -> ElfFile:
                return _mapped_file(self._memory.pid, area, name)
        else:
            return None
        if self._patience <= 0:
            return None
        began = time.monotonic()
        data = bounded(
            lambda: read().pack(), seconds=_SECONDS, memory=_MEMORY, result=_SYMBOLS
        )
        self._patience -= time.monotonic() - began
        return None if data is None else ElfFile.unpack(data, name)


def _mapped_file(pid: int, area: VmArea, name: str) -> ElfFile:
    """The file mapped at ``area``, not another one at its path. Raises UbError."""
    try:
        # The link reaches deleted files and other namespaces, but needs privilege.
        link = f"/proc/{pid}/map_files/{area.start:x}-{area.end:x}"
        return read_elf(open_regular(link), name)
    except UbError:
        same = (area.device, area.inode)
        return read_elf(open_regular(area.path, follow=False, same=same), name)
