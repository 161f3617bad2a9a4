# SPDX-License-Identifier: GPL-2.0-only
"""The memory of a live process, as far as it can be read without waiting for a file.

Code is read page by page and cached until :meth:`ProcessMemory.refresh`, so that an
analysis sees one state of the program. Only pages that the process has are read. Those
that were needed before are read with the memory map, and neighbours of a page with it:
a read may be slow (``ubypass.process.reader``). Independent of what bytes mean.
"""

from __future__ import annotations

from ubypass.errors import UbError
from ubypass.process.maps import MemoryMap, parse_maps
from ubypass.process.reader import MOST_PAGES, ProcessReader

__all__ = ["ProcessMemory"]

_PAGE = 4096
_AROUND = 16 * _PAGE  # as the kernel maps pages around a fault


class ProcessMemory:
    """Reads from process ``pid``; a context manager that owns a reader.

    Reads never raise for unmapped addresses: the result is shorter than asked for, or
    empty. The constructor raises UbError if the process has ended or may not be read.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._pages: dict[int, bytes] = {}
        self._used: set[int] = set()  # since the last refresh
        self._reader = ProcessReader(pid)
        self.maps = MemoryMap(())
        try:
            self.refresh()
            if self.is_silent:
                raise UbError(
                    f"the memory map of process {pid} cannot be read",
                    "somebody keeps it locked: a file system may not answer",
                )
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> ProcessMemory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_silent(self) -> bool:
        """Whether a read was not answered in time. Nothing can be read any more."""
        return self._reader.silent

    def close(self) -> None:
        """Close its files; no reads afterwards."""
        self._reader.close()

    def refresh(self) -> None:
        """Drop the cached pages and read the memory map again.

        Raises UbError if the process has ended.
        """
        used = sorted(self._used)[:MOST_PAGES]
        self._used.clear()
        maps, self._pages = self._reader.maps(used)
        # File names are bytes, not necessarily UTF-8.
        text = maps.decode(errors="surrogateescape")
        if not text and not self.is_silent:
            raise UbError(f"process {self.pid} no longer exists")
        self.maps = parse_maps(text.split("\n"))

    def is_code(self, address: int) -> bool:
        """Whether ``address`` is in private, non-writable, executable memory."""
        area = self.maps.find(address)
        return area is not None and area.is_code

    def read(self, address: int, size: int) -> bytes:
        """Up to ``size`` bytes of code at ``address``; empty if it is not code."""
        return self._read(address, min(size, self.maps.code_end(address) - address))

    def read_data(self, address: int, size: int) -> bytes:
        """Up to ``size`` bytes of any readable memory, as of the first read."""
        return self._read(address, min(size, self.maps.readable_end(address) - address))

    def _read(self, address: int, size: int) -> bytes:
        if size <= 0:
            return b""
        first = address & -_PAGE
        last = (address + size - 1) & -_PAGE
        if first == last:
            page = self._page(first)
            return page[address - first : address - first + size]
        parts = []
        for base in range(first, last + _PAGE, _PAGE):
            page = self._page(base)
            parts.append(page)
            if len(page) < _PAGE:
                break
        return b"".join(parts)[address - first : address - first + size]

    def _page(self, base: int) -> bytes:
        self._used.add(base)
        page = self._pages.get(base)
        if page is None:
            self._pages.update(self._reader.pages(self._around(base)))
            page = self._pages.setdefault(base, b"")
        return page

    def _around(self, base: int) -> list[int]:
        """The page, and those near by that are unknown and belong to the same area."""
        area = self.maps.find(base)
        if area is None:
            return [base]
        first = base & -_AROUND
        near = range(max(first, area.start), min(first + _AROUND, area.end), _PAGE)
        return [each for each in near if each not in self._pages]
