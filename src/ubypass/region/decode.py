# SPDX-License-Identifier: GPL-2.0-only
"""One decoded user instruction at a time, remembered.

Reads code in small windows so that a reader of a live process is asked rarely.
Knows where code is, not where it leads.
"""

from __future__ import annotations

from iced_x86 import Code, Decoder, FlowControl, Instruction

from ubypass.errors import UbError
from ubypass.region.reader import CodeReader

#: Bytes asked for at once; an x86 instruction has 15 at most.
_WINDOW = 256
_LONGEST = 15


class Decoded:
    """User instructions by address, with the bytes they came from."""

    def __init__(self, reader: CodeReader) -> None:
        self._reader = reader
        # Window → offset of its first byte of code, and the bytes from there on.
        self._windows: dict[int, tuple[int, bytes]] = {}
        self._known: dict[int, Instruction | None] = {}

    def at(self, address: int) -> Instruction | None:
        """The instruction at ``address``; None where there is no valid one."""
        if address in self._known:
            return self._known[address]
        data = self.bytes_at(address, _LONGEST)
        found: Instruction | None = None
        if data:
            decoder = Decoder(64, data, ip=address)
            instruction = decoder.decode()
            if instruction.code != Code.INVALID:
                found = instruction
        self._known[address] = found
        return found

    def bytes_at(self, address: int, size: int) -> bytes:
        """Up to ``size`` (at most 256) bytes of code, fewer at its end."""
        out = b""
        while len(out) < size:
            base = (address + len(out)) & ~(_WINDOW - 1)
            if base not in self._windows:
                self._windows[base] = self._fetch(base)
            first, data = self._windows[base]
            offset = address + len(out) - base - first
            part = data[offset:] if offset >= 0 else b""
            if not part:
                break
            out += part
        return out[:size]

    def _fetch(self, base: int) -> tuple[int, bytes]:
        # Code may begin inside the window.
        for offset in range(_WINDOW):
            try:
                data = self._reader.read(base + offset, _WINDOW - offset)
            except UbError:
                continue
            if data:
                return offset, data
        return 0, b""

    def is_return_point(self, address: int) -> bool:
        """Whether ``address`` is code that directly follows a call."""
        if self.at(address) is None:
            return False
        for length in (5, 2, 3, 6, 7, 4, 8):
            before = self.at(address - length)
            if (
                before is not None
                and before.len == length
                and before.flow_control in (FlowControl.CALL, FlowControl.INDIRECT_CALL)
            ):
                return True
        return False
