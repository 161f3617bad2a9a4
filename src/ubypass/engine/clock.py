# SPDX-License-Identifier: GPL-2.0-only
"""How long a gap may be on this machine, by the clock that the module times gaps with.

The unit is the time of a system call: calibrated on hardware; in an emulator, whose
clock may count instructions, measured with that clock.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable

from ubypass import processor
from ubypass.cost.model import Model
from ubypass.errors import UbError
from ubypass.executable import Executable

__all__ = ["CALLS_PER_GAP", "call_ns", "gap_ns", "longest_ns", "slowness"]

#: A gap longer than this many calls of getppid is not worth a trial: a translation that
#: is 2.5 % slower would lose all that half a call saves.
CALLS_PER_GAP = 12

_ROUNDS = 8
_CALLS = 200

#: void f(int n): n times getppid
_CODE = bytes.fromhex(
    "53"  # push rbx
    "89fb"  # mov ebx, edi
    "b86e000000"  # again: mov eax, 110
    "0f05"  # syscall
    "ffcb"  # dec ebx
    "75f5"  # jnz again
    "5b"  # pop rbx
    "c3"  # ret
)


def longest_ns(model: Model) -> int:
    """The longest gap that is looked at, with its transition, in ns of the clock.

    ``model``: of the processor of this machine; not used in an emulator.
    """
    emulated = processor.is_emulated()
    return gap_ns(call_ns() if emulated else model.transition.ns.likely)


def slowness(model: Model, longest: int) -> float:
    """How many times longer a call takes by the clock than by ``model``.

    ``longest``: as from :func:`longest_ns`. 1 but in emulators.
    """
    return max(1.0, longest / gap_ns(model.transition.ns.likely))


def call_ns() -> float:
    """Nanoseconds of a getppid with its transition, at best."""
    best = _best_of(_CODE, _CALLS)
    if best is None:  # measure with the interpreter's own costs
        return _best(lambda: [os.getppid() for _ in range(_CALLS)], _CALLS)
    return best


def _best_of(machine_code: bytes, turns: int) -> float | None:
    """ns per turn of the code at best; None: executable memory is forbidden."""
    try:
        code = Executable(machine_code)
    except UbError:
        return None
    with code:
        calls = ctypes.CFUNCTYPE(None, ctypes.c_int)(code.address)
        return _best(lambda: calls(turns), turns)


def _best(run: Callable[[], object], turns: int) -> float:
    found = []
    for _ in range(_ROUNDS):
        began = time.perf_counter_ns()
        run()
        found.append(time.perf_counter_ns() - began)
    return min(found) / turns


def gap_ns(call: float) -> int:
    """The longest gap that may be worth boosting, with its transition.

    ``call``: as from :func:`call_ns`.
    """
    return round(CALLS_PER_GAP * call)
