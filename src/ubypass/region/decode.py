# SPDX-License-Identifier: GPL-2.0-only
"""Decodes user instructions one at a time and caches them.

Reads code in small windows, to keep the number of reads from a live process small.
Must not depend on control flow between blocks.
"""

from __future__ import annotations

from typing import Final

from iced_x86 import Decoder, DecoderOptions, FlowControl, Instruction

from ubypass.errors import UbError
from ubypass.region.reader import CodeReader

__all__ = ["Decoded", "Step"]

#: Bytes per read; an x86 instruction has at most 15.
_WINDOW: Final = 256
_LONGEST: Final = 15
# Largest number of bytes to decode at once.
_AHEAD: Final = 128
# Lengths of call instructions, usual ones first.
_CALL_LENGTHS: Final = (5, 2, 3, 6, 7, 4, 8)
_CALLS: Final = (FlowControl.CALL, FlowControl.INDIRECT_CALL)
_NEXT: Final[int] = FlowControl.NEXT
# Also for bytes that are not an instruction.
_EXCEPTION: Final[int] = FlowControl.EXCEPTION
_OPERAND_SIZE: Final = 0x66


class Step:
    """An instruction, its end, its kind of control flow, and its part in an
    exploration.

    ``following``: the step at ``next_ip``, if it is known; ``found``: the exploration
    has reached the step; ``leader``: a block starts here.
    """

    __slots__ = ("flow", "following", "found", "instruction", "leader", "next_ip")

    def __init__(self, instruction: Instruction, next_ip: int, flow: int) -> None:
        self.instruction = instruction
        self.next_ip = next_ip
        self.flow = flow
        self.following: Step | None = None
        self.found = False
        self.leader = False


def _is_unambiguous(instruction: Instruction, code: bytes) -> bool:
    """Whether processors of all vendors decode ``code`` as this branch.

    With an operand-size prefix they differ: Intel's ignore the prefix, AMD's truncate
    the target to 16 bits (SDM 2, 2.2.1.7 "Instructions whose operand size is 64 bits";
    APM 3, "Near branches in 64-bit mode").
    """
    if _OPERAND_SIZE not in code[:-1]:
        return True
    other = Decoder(64, code, DecoderOptions.AMD, instruction.ip).decode()
    return other.code == instruction.code and len(other) == len(instruction)


class Decoded:
    """User instructions by address, with their bytes."""

    def __init__(self, reader: CodeReader) -> None:
        self._reader = reader
        # Window → offset of its first byte of code, and the bytes from that offset on.
        self._windows: dict[int, tuple[int, bytes]] = {}
        self._known: dict[int, Step | None] = {}

    def at(self, address: int) -> Instruction | None:
        """The instruction at ``address``; None if there is no valid one."""
        found = self.step(address)
        return None if found is None else found.instruction

    def step(self, address: int) -> Step | None:
        """The step at ``address``; None if there is no valid instruction."""
        found = self._known.get(address)
        if found is None and address not in self._known:
            self._ahead(address)
            found = self._known[address]
        return found

    def _ahead(self, address: int) -> None:
        """Decode straight-line code from ``address`` on."""
        known = self._known
        data = self.bytes_at(address, _AHEAD)
        # If the bytes end early, the last instruction may be truncated.
        whole = len(data) - _LONGEST if len(data) == _AHEAD else len(data)
        whole += address
        known[address] = None
        start = address
        before: Step | None = None
        for instruction in Decoder(64, data, DecoderOptions.NONE, address):
            flow: int = instruction.flow_control
            if flow == _EXCEPTION and not instruction:
                known[address] = None
                return
            following = address + len(instruction)
            if flow != _NEXT and not _is_unambiguous(
                instruction, data[address - start : following - start]
            ):
                known[address] = None
                return
            step = known[address] = Step(instruction, following, flow)
            if before is not None:
                before.following = step
            before = step
            if flow != _NEXT or following in known or following > whole:
                return
            address = following

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
        for length in _CALL_LENGTHS:
            before = Decoder(64, self.bytes_at(address - length, length)).decode()
            if before.len == length and before.flow_control in _CALLS:
                return True
        return False
