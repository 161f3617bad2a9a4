# SPDX-License-Identifier: GPL-2.0-only
"""Measures this CPU: the list of loop bodies, and the differences for the figures."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from ubypass import processor
from ubypass.calibrate import work
from ubypass.calibrate.calls import Call, calls
from ubypass.calibrate.chains import chain
from ubypass.calibrate.figures import DEPTHS, Calibration, Figure, Kind, Transition
from ubypass.calibrate.loops import Body
from ubypass.calibrate.rounds import Lows, figure, groups, rounds
from ubypass.calibrate.timer import Timer
from ubypass.errors import UbError

__all__ = ["SECONDS", "measure"]

#: CPU time that the measurements take, in seconds.
SECONDS = 0.6

_STATUS = Path("/proc/self/status")


def measure(seconds: float = SECONDS) -> Calibration:
    """Measure for about ``seconds`` of this thread's CPU time.

    May be called in any thread; other threads of the interpreter hardly run meanwhile.
    In an emulator the figures mean nothing (:func:`ubypass.processor.is_emulated`).
    Raises UbError if this process may not run code of its own, has a user shadow stack,
    or cannot open files; :func:`ubypass.calibrate.typical` has figures for that case.
    """
    _no_shadow_stack()
    began = time.thread_time()
    try:
        with calls() as known, Timer(_bodies(known)) as timer:
            names = [body.name for body in _bodies(known)]
            found = rounds(timer, names, seconds)
            ticks_per_us = timer.ticks_per_us()
            kinds = tuple(known)
    except OSError as error:
        raise UbError(f"cannot calibrate: {error.strerror}") from error
    return _calibration(
        groups(found), kinds, ticks_per_us, len(found), time.thread_time() - began
    )


def _no_shadow_stack() -> None:
    """Raises UbError if a return to another address faults."""
    try:
        status = _STATUS.read_text("ascii", "replace")
    except OSError:
        return
    for line in status.splitlines():
        if line.startswith("x86_Thread_features:") and "shstk" in line.split():
            raise UbError(
                "cannot calibrate: the user shadow stack of this process forbids "
                "deliberately mispredicted returns",
                "run it with GLIBC_TUNABLES=glibc.cpu.hwcaps=-SHSTK in the environment",
            )


def _bodies(known: Mapping[Kind, Call]) -> list[Body]:
    """All bodies; bodies that are compared are adjacent."""
    found = [work.nothing(), work.additions(), work.calls()]
    for one in False, True:
        found += [work.own_return(predicted=one), work.chase(clamped=one)]
        found += [work.loads(clamped=one), work.adds(locked=one)]
    for depth in DEPTHS:
        for kind, call in known.items():
            for made in False, True:
                name = _with(kind, depth) if made else _without(kind, depth)
                found.append(chain(name, call, depth, made=made))
    return found


def _with(kind: Kind, depth: int) -> str:
    return f"{kind} at {depth}"


def _without(kind: Kind, depth: int) -> str:
    return f"without {kind} at {depth}"


def _calibration(
    found: list[Lows],
    kinds: tuple[Kind, ...],
    ticks_per_us: float,
    count: int,
    seconds: float,
) -> Calibration:
    def of(more: str, less: str = "", per: int = 1) -> Figure:
        """The time of a turn of ``more`` less one of ``less``, divided by ``per``."""

        def value(lows: Lows) -> float:
            return (lows[more] - (lows[less] if less else 0.0)) / per

        return figure(found, value, ticks_per_us)

    transitions = tuple(
        Transition(
            kind,
            tuple(of(_with(kind, depth), _without(kind, depth)) for depth in DEPTHS),
        )
        for kind in kinds
    )
    return Calibration(
        processor=processor.describe(),
        measured=True,
        tsc_mhz=ticks_per_us,
        cycle=of("additions", per=work.ADDITIONS),
        transitions=transitions,
        predicted_return=of("calls", "nothing", work.CALLS),
        mispredicted_return=of("mispredicted return", "return"),
        clamp_latency=of("clamped chase", "chase", work.LOADS),
        clamp_throughput=of("clamped loads", "loads", work.LOADS),
        plain_add=of("plain adds", "nothing", work.ADDS),
        locked_add=of("locked adds", "nothing", work.ADDS),
        rounds=count,
        seconds=seconds,
    )
