# SPDX-License-Identifier: GPL-2.0-only
"""Sources of user code: the reader protocol, and a reader of bytes in memory.

Only private, executable, non-writable memory counts as code. The reader of a live
process is elsewhere; this module must not depend on processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from ubypass.errors import UbError

__all__ = ["BytesReader", "CodeReader", "DataReader"]


class CodeReader(Protocol):
    """Reads user code."""

    def read(self, address: int, size: int) -> bytes:
        """Up to ``size`` bytes of code from ``address`` on.

        Fewer when the code ends earlier. Raises :class:`UbError` (or returns
        nothing) when there is no code at ``address``.
        """


@runtime_checkable
class DataReader(Protocol):
    """Optional: a :class:`CodeReader` that also reads data (jump slots)."""

    def read_data(self, address: int, size: int) -> bytes:
        """Up to ``size`` bytes of memory; same errors as ``CodeReader.read``."""


class BytesReader:
    """Code (and, if given, data) held in memory: pairs of address and bytes."""

    def __init__(
        self, code: Mapping[int, bytes], data: Mapping[int, bytes] | None = None
    ) -> None:
        self._code = dict(code)
        self._data = dict(data or {})

    def read(self, address: int, size: int) -> bytes:
        """See :class:`CodeReader`."""
        return _read(self._code, address, size)

    def read_data(self, address: int, size: int) -> bytes:
        """See :class:`DataReader`; code can be read as data, too."""
        try:
            return _read(self._data, address, size)
        except UbError:
            return _read(self._code, address, size)


def _read(memory: Mapping[int, bytes], address: int, size: int) -> bytes:
    for start, content in memory.items():
        if start <= address < start + len(content):
            return content[address - start : address - start + size]
    raise UbError(f"no code at {address:#x}")
