# SPDX-License-Identifier: GPL-2.0-only
"""Read the memory of a live process through ``/proc/PID/mem``.

Code is read page by page and remembered until :meth:`ProcessMemory.refresh`,
so that one look at the program sees one state of it and costs few system
calls. What the bytes mean is not known here.
"""

from __future__ import annotations

import os

from ubypass.errors import UbError, permission_hint
from ubypass.process.maps import MemoryMap, read_maps

__all__ = ["ProcessMemory"]

_PAGE = 4096


class ProcessMemory:
    """Reads from process ``pid``; a context manager that owns one file.

    Reads never raise for addresses that are not there: they return what could
    be read, so the result may be shorter than asked for, or empty.
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
            raise UbError(f"process {pid} does not exist any more") from error

    def __enter__(self) -> ProcessMemory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back; no reads afterwards."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def refresh(self) -> None:
        """Forget what was read and look at the memory map anew."""
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
        """Up to ``size`` bytes of any readable memory, as it was when first read."""
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
                page = b""  # unmapped since we looked, or the process is gone
            self._pages[base] = page
        return page
