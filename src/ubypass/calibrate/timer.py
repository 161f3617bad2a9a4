# SPDX-License-Identifier: GPL-2.0-only
"""Calls generated loops, and measures the frequency of the time stamp counter."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterable
from types import TracebackType

from ubypass.calibrate.loops import STAMP, Body, Data, assembled
from ubypass.errors import UbError
from ubypass.executable import Executable

__all__ = ["Timer"]

_READINGS = 16
# Bounds of time stamp counters, including emulated ones.
_SLOWEST_MHZ, _FASTEST_MHZ = 1.0, 20_000.0


class Timer:
    """``bodies`` as functions, until the end of the ``with`` block."""

    def __init__(self, bodies: Iterable[Body]) -> None:
        """Raises UbError if this process may not run code of its own."""
        code, starts = assembled(bodies)
        self._code = Executable(code)
        self._data = Data()
        # The calls keep the interpreter's lock: each is short.
        loop = ctypes.PYFUNCTYPE(
            *(ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint64)
        )
        base = self._code.address
        stamp = ctypes.PYFUNCTYPE(ctypes.c_uint64)
        self._stamp: Callable[[], int] = stamp(base + starts.pop(STAMP))
        self._loops = {name: loop(base + start) for name, start in starts.items()}
        self._began = self._reading()

    def ticks(self, name: str, before: int, turns: int) -> int:
        """Ticks of ``turns`` turns of the body ``name``, after ``before`` others."""
        found: int = self._loops[name](before, turns, self._data.address)
        return found

    def ticks_per_us(self) -> float:
        """The frequency of the time stamp counter since the creation of this object.

        Raises UbError if the frequency is implausible.
        """
        stamp, clock = self._reading()
        passed = (clock - self._began[1]) / 1000
        found = (stamp - self._began[0]) / passed if passed > 0 else 0.0
        if not _SLOWEST_MHZ <= found <= _FASTEST_MHZ:
            raise UbError(
                "the time-stamp counter of this CPU is unusable as a clock: "
                f"{found:g} steps in a microsecond"
            )
        return found

    def _reading(self) -> tuple[int, int]:
        """Ticks and nanoseconds at the same time: the fastest of several reads."""
        best: tuple[int, int, int] | None = None
        for _ in range(_READINGS):
            before = self._stamp()
            clock = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
            took = self._stamp() - before
            if best is None or took < best[0]:
                best = took, before + took // 2, clock
        assert best is not None
        return best[1:]

    def close(self) -> None:
        """Unmap the code; no function can be called any more."""
        self._loops.clear()
        self._code.close()

    def __enter__(self) -> Timer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
