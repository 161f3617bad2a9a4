# SPDX-License-Identifier: GPL-2.0-only
"""Read the memory of a live process through ``/proc/PID/mem``.

Code is read page by page and cached until :meth:`ProcessMemory.refresh`, so that an
analysis sees one state of the program and needs few system calls. Independent of the
meaning of the bytes.
"""

from __future__ import annotations

import os

from ubypass.errors import UbError, permission_hint
from ubypass.process.maps import MemoryMap, read_maps

__all__ = ["ProcessMemory"]

_PAGE = 4096


class ProcessMemory:
    """Reads from process ``pid``; a context manager that owns one file.

    Reads never raise for unmapped addresses: the result is shorter than asked for, or
    empty. The constructor raises UbError if the process has ended or may not be read.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.maps: MemoryMap = read_maps(pid)
        self._pages: dict[int, bytes] = {}
        try:
            self._fd = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
        except PermissionError as error:
            raise UbError(
                f"cannot read the memory of process {pid}: permission denied",
                permission_hint(),
            ) from error
        except OSError as error:
            raise UbError(f"process {pid} no longer exists") from error

    def __enter__(self) -> ProcessMemory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; no reads afterwards."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def refresh(self) -> None:
        """Drop the cached pages and read the memory map again."""
        self._pages.clear()
        self.maps = read_maps(self.pid)

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
        page = self._pages.get(base)
        if page is None:
            try:
                page = os.pread(self._fd, _PAGE, base)
            except (OSError, OverflowError):
                page = b""  # unmapped since, or the process has ended
            self._pages[base] = page
        return page
