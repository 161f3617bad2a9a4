# SPDX-License-Identifier: GPL-2.0-only
"""Time, or count the instructions of, code of this process and its translation.

The code really runs here, with this process's memory and thread: what it does is
done, and it must not make system calls.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ubypass.abi import BUDGET_MAX, Exit
from ubypass.errors import UbError
from ubypass.native import types
from ubypass.native.case import Case
from ubypass.native.runner import WHY, describe, load

__all__ = ["Call", "Timed"]

_END = 2
_FLAGS = 0x202
# Instructions of a path that is noted.
_PATH = 1 << 17


@dataclass(frozen=True, slots=True)
class Call:
    """One run from the entry to the end.

    ``cycles`` of the time stamp counter; ``instructions`` if they were counted.
    ``exit`` is where a translation left and ``target`` what an indirect branch that
    missed wanted; ``early`` tells that it left before the end.
    """

    registers: tuple[int, ...]
    cycles: int
    instructions: int
    exit: Exit | None
    target: int
    early: bool
    #: How often each instruction of the translation was executed, by offset, if
    #: they were counted.
    histogram: tuple[tuple[int, int], ...] = ()
    #: The addresses of the original's instructions as they ran, if they were counted;
    #: of a very long run only the first ones.
    path: tuple[int, ...] = ()


class Timed:
    """A case whose code can be called; making another one ends this one's use."""

    def __init__(self, case: Case) -> None:
        """Raises UbError when the memory that the case asks for is taken."""
        self._case = case
        self._keep: list[Any] = []
        self._library = load()
        self._library.ub_fsbase.restype = ctypes.c_uint64
        self._job = describe(case, self._keep)
        self._job.fsbase = self._library.ub_fsbase()
        code = self._library.ub_prepare(ctypes.byref(self._job))
        if code:
            raise UbError(f"the native runner gave up: {WHY.get(code, code)}")

    def call(
        self, registers: Sequence[int], *, translated: bool, count: bool = False
    ) -> Call:
        """Run from the first entry with these sixteen registers."""
        call = types.Call()
        for number, value in enumerate(registers):
            call.cpu.gpr[number] = value
        entry = self._case.entries[0]
        call.cpu.rip = call.cpu.gpr[1] = entry
        call.cpu.flags = call.cpu.gpr[11] = _FLAGS
        call.translated, call.count = translated, count
        call.budget = BUDGET_MAX
        trace = None
        if count and not translated:
            trace = (ctypes.c_uint64 * _PATH)()
            call.path, call.path_room = trace, _PATH
        executed = None
        if translated and count:
            executed = (ctypes.c_uint32 * len(self._case.translation.code))()
            call.histogram = executed
        code = self._library.ub_call(ctypes.byref(self._job), ctypes.byref(call))
        if code or call.kind != _END or call.cpu.rip not in self._case.ends:
            raise UbError(
                f"code did not come to its end, but to {call.cpu.rip:#x}",
                "it has to be code that neither faults nor makes system calls",
            )
        leave = self._case.translation.exits[call.number] if translated else None
        path = []
        if trace is not None:
            path = list(trace[: _PATH - call.path_room])
        return Call(
            registers=tuple(call.cpu.gpr),
            cycles=call.cycles,
            instructions=call.instructions,
            exit=leave,
            target=call.target,
            early=translated and call.at not in self._case.ends,
            histogram=tuple(
                (at, times) for at, times in enumerate(executed or ()) if times
            ),
            path=tuple(path),
        )
