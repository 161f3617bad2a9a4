# SPDX-License-Identifier: GPL-2.0-only
"""Exit stubs and tails: the ways out, each emitted once."""

from __future__ import annotations

from ubypass.abi import FRAME_TARGET, Exit, ExitFlag
from ubypass.translate.emit import Buffer, ExitKey, Label
from ubypass.translate.registers import RSP, SLOT


class Exits:
    """Collects the exits that code refers to and emits their stubs.

    ``scratch`` is a host register that no user register lives in.
    """

    def __init__(self, scratch: int) -> None:
        self._scratch = scratch
        self._labels: dict[ExitKey, Label] = {}
        self._numbers: dict[Exit, int] = {}

    def label(self, key: ExitKey) -> Label:
        """Where the stub for ``key`` is going to be."""
        return self._labels.setdefault(key, Label())

    @property
    def exits(self) -> tuple[Exit, ...]:
        """All exits by number, once stubs have been emitted."""
        return tuple(self._numbers)

    def emit(self, out: Buffer) -> list[int]:
        """Emit all stubs and tails; returns the offsets of the open jumps."""
        tails: dict[tuple[tuple[int, int], ...], Label] = {}
        jumps: list[int] = []
        for key, label in self._labels.items():
            out.bind(label)
            out.mark(key.user_ip)
            # First, because the other code may use the same scratch register.
            if key.target >= 0:
                out.frame_store(FRAME_TARGET, key.target)
            out.code += key.before
            if key.stack is not None:
                out.lea(self._scratch, *key.stack)
            record = Exit(key.user_ip, key.reason, ExitFlag(key.flags), key.cx)
            number = self._numbers.setdefault(record, len(self._numbers))
            out.exit_number(number)
            if key.stack is not None:
                out.frame_store(SLOT[RSP], self._scratch)
            if key.stores:
                out.jmp(tails.setdefault(key.stores, Label()))
            else:
                jumps.append(out.jmp_open())
        for stores, label in tails.items():
            out.bind(label)
            for offset, host in stores:
                out.frame_store(offset, host)
            jumps.append(out.jmp_open())
        return jumps
