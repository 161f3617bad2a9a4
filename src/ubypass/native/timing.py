# SPDX-License-Identifier: GPL-2.0-only
"""Times code of this process and its translation, or counts their instructions.

The code runs with this process's memory and thread: its effects are real, and it must
not make system calls.
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
# Instructions of a recorded path, at most.
_PATH = 1 << 17


@dataclass(frozen=True, slots=True)
class Call:
    """One run from the entry to the end.

    ``cycles`` of the time stamp counter; ``instructions`` if they were counted.
    ``exit``: the exit of a translation; ``target``: the target of an indirect branch
    that missed; ``early``: the translation exited before the end.
    """

    registers: tuple[int, ...]
    cycles: int
    instructions: int
    exit: Exit | None
    target: int
    early: bool
    #: Pairs of offset and execution count of the translation's instructions, if
    #: counted.
    histogram: tuple[tuple[int, int], ...] = ()
    #: The addresses of the original's instructions in order of execution, if counted;
    #: of a very long run only the first ones.
    path: tuple[int, ...] = ()


class Timed:
    """A case whose code can be called; a later instance makes this one unusable."""

    def __init__(self, case: Case) -> None:
        """Raises UbError if the memory of the case is already in use."""
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
        self,
        registers: Sequence[int],
        *,
        translated: bool,
        count: bool = False,
        budget: int = BUDGET_MAX,
    ) -> Call:
        """Run from the first entry with these sixteen registers.

        ``count``: count instructions. ``budget``: of the segment. Raises UbError if the
        code does not come to its end.
        """
        call = types.Call()
        for number, value in enumerate(registers):
            call.cpu.gpr[number] = value
        entry = self._case.entries[0]
        call.cpu.rip = call.cpu.gpr[1] = entry
        call.cpu.flags = call.cpu.gpr[11] = _FLAGS
        call.translated, call.count = translated, count
        call.budget = budget
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
                f"the code did not reach its end, but {call.cpu.rip:#x}",
                "the code must neither fault nor make system calls",
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
