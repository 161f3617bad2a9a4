# SPDX-License-Identifier: GPL-2.0-only
"""Machine code in a mapping of its own, called as C functions.

The memory is never writable and executable at once: code is written to an anonymous
file (``memfd_create``), which is then mapped.
"""

from __future__ import annotations

import ctypes
import os
from types import TracebackType

from ubypass.errors import UbError

__all__ = ["Executable"]

_PROT_READ, _PROT_EXEC, _MAP_PRIVATE = 1, 4, 2
_FAILED = ctypes.c_void_p(-1).value

_HINT = (
    "SELinux (execmem, execmod), vm.memfd_noexec or a filter of system calls can "
    "forbid it"
)


class Executable:
    """A mapping of ``code``, executable until :meth:`close` or the end of ``with``."""

    def __init__(self, code: bytes) -> None:
        """Raises UbError if this process may not run code of its own."""
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.mmap.restype = ctypes.c_void_p
        self._libc.mmap.argtypes = [
            *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int),
            *(ctypes.c_int, ctypes.c_int, ctypes.c_long),
        ]
        self._libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        self._size = len(code)
        self._address: int | None = None
        try:
            self._address = self._mapped(code)
        except OSError as error:
            raise UbError(
                f"cannot run generated code in this process: {error.strerror}", _HINT
            ) from error

    def _mapped(self, code: bytes) -> int:
        file = os.memfd_create("ubypass-code", os.MFD_CLOEXEC)
        try:
            with open(file, "wb", closefd=False) as out:
                out.write(code)
            found = self._libc.mmap(
                None, self._size, _PROT_READ | _PROT_EXEC, _MAP_PRIVATE, file, 0
            )
        finally:
            os.close(file)
        if found is None or found == _FAILED:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return int(found)

    @property
    def address(self) -> int:
        """Address of the first byte. Raises ValueError after :meth:`close`."""
        if self._address is None:
            raise ValueError("the code is no longer mapped")
        return self._address

    def close(self) -> None:
        """Unmap the code; functions in it must not be called afterwards."""
        address, self._address = self._address, None
        if address is not None:
            self._libc.munmap(address, self._size)

    def __enter__(self) -> Executable:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
