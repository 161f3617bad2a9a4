# SPDX-License-Identifier: GPL-2.0-only
"""Names for the addresses of a live process: ``libc.so.6:pread64+0x12``.

Opens a file only when an address in it is asked for, and keeps few of them.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from typing import Protocol

from ubypass.errors import UbError
from ubypass.process.elf import ElfFile, open_elf, parse_elf
from ubypass.process.maps import MemoryMap, VmArea

__all__ = ["Symbols"]

_FILES_KEPT = 4


class Readable(Protocol):
    """What is needed of a ``ProcessMemory``."""

    @property
    def pid(self) -> int: ...

    @property
    def maps(self) -> MemoryMap: ...

    def read_data(self, address: int, size: int) -> bytes: ...


class Symbols:
    """Turns addresses of the process behind ``memory`` into names."""

    def __init__(self, memory: Readable) -> None:
        self._memory = memory
        self._files: OrderedDict[str, ElfFile | None] = OrderedDict()

    def name(self, address: int) -> str:
        """``file:function+0x12``, ``file+0x1234`` without one, else ``0x7f…``."""
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
        if area.path not in self._files:
            while len(self._files) >= _FILES_KEPT:
                self._files.popitem(last=False)
            self._files[area.path] = self._open(area)
        self._files.move_to_end(area.path)
        return self._files[area.path]

    def _open(self, area: VmArea) -> ElfFile | None:
        try:
            if area.path == "[vdso]":
                size = area.end - area.start
                return parse_elf(self._memory.read_data(area.start, size), "vdso")
            if not area.is_file:
                return None
            # map_files reaches files that are deleted or in another namespace;
            # it needs privilege, so the plain path comes second.
            link = f"/proc/{self._memory.pid}/map_files/{area.start:x}-{area.end:x}"
            try:
                return open_elf(link, os.path.basename(area.path))
            except UbError:
                return open_elf(area.path)
        except UbError:
            return None  # a name is a courtesy; the address will do
