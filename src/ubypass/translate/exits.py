# SPDX-License-Identifier: GPL-2.0-only
"""Exit stubs and their common tails, each emitted once."""

from __future__ import annotations

from typing import Final

from ubypass.abi import FRAME_TARGET, Exit, ExitFlag
from ubypass.translate.emit import Buffer
from ubypass.translate.labels import ExitKey, Tail
from ubypass.translate.registers import RSP, SLOT

__all__ = ["Exits"]

# Made once: constructing these takes long.
_FLAGS: Final = [ExitFlag(flags) for flags in range(2 * max(ExitFlag))]


class Exits:
    """Collects the exits that code refers to and emits their stubs.

    ``scratch`` is a host register without a user register.
    """

    def __init__(self, scratch: int) -> None:
        self._scratch = scratch
        self._wanted: dict[ExitKey, None] = {}
        self._exits: list[Exit] = []
        self._exact: list[bool] = []

    def want(self, key: ExitKey) -> None:
        """Note that a stub for ``key`` is needed."""
        self._wanted[key] = None

    @property
    def exits(self) -> tuple[Exit, ...]:
        """All exits by number, once stubs have been emitted."""
        return tuple(self._exits)

    @property
    def exact(self) -> tuple[bool, ...]:
        """Whether all flags are the user's at each exit, by number."""
        return tuple(self._exact)

    def emit(self, out: Buffer) -> list[int]:
        """Emit all stubs and tails; returns the offsets of the open jumps."""
        tails: dict[Tail, None] = {}
        jumps: list[int] = []
        numbers: dict[tuple[int, int, int, int], int] = {}
        for key in self._wanted:
            out.bind(key)
            out.mark(key.user_ip)
            # First, because the other code may use the same scratch register.
            if key.target >= 0:
                out.frame_store(FRAME_TARGET, key.target)
            out.raw(key.before)
            if key.stack is not None:
                out.lea(self._scratch, key.stack[0], key.stack[1])
            record = (key.user_ip, int(key.reason), key.flags, key.cx)
            number = numbers.get(record, -1)
            if number < 0:
                number = numbers[record] = len(numbers)
                flags = _FLAGS[key.flags]
                self._exits.append(Exit(key.user_ip, key.reason, flags, key.cx))
                self._exact.append(True)
            # One inexact key makes the flags of the whole exit number inexact.
            if not key.exact:
                self._exact[number] = False
            out.exit_number(number)
            if key.stack is not None:
                out.frame_store(SLOT[RSP], self._scratch)
            if key.tail.stores:
                tails[key.tail] = None
                out.jmp(key.tail)
            else:
                jumps.append(out.jmp_open())
        for tail in tails:
            out.bind(tail)
            for offset, host in tail.stores:
                out.frame_store(offset, host)
            jumps.append(out.jmp_open())
        return jumps
