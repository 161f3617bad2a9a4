# SPDX-License-Identifier: GPL-2.0-only
"""The order of the system calls of one thread in one burst of events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

__all__ = [
    "Bursts",
    "Chain",
    "Enter",
    "Exit",
    "Lost",
    "Passed",
    "Switch",
    "Trace",
    "chains",
]


class Enter(NamedTuple):
    """A system call begins at ``time`` (ns); ``ip`` is the address behind it."""

    time: int
    ip: int
    nr: int


class Exit(NamedTuple):
    """A system call ends at ``time`` (ns); user mode goes on at ``ip``."""

    time: int
    ip: int
    nr: int


class Switch(NamedTuple):
    """The thread leaves the processor; ``asleep``: it waits for something."""

    asleep: bool


class Lost(NamedTuple):
    """``number`` records are missing here."""

    number: int


class Passed(NamedTuple):
    """One gap: from the return of call ``nr`` at ``resume`` to call ``call``, which
    returns to ``following``. ``ns``: time from the end of the first call to the start
    of the second; None without times, or if the thread was off the processor in the
    gap. ``slept``: call ``nr`` had to wait.
    """

    resume: int
    nr: int
    following: int
    call: int
    ns: int | None
    slept: bool


#: Gaps that followed one another without a break.
Chain = tuple[Passed, ...]

#: Calls that do not return to where they were made: rt_sigreturn, execve, execveat.
_ELSEWHERE = frozenset({15, 59, 322})


@dataclass(frozen=True, slots=True)
class Trace:
    """One thread in one burst: the number of ``calls``; ``cpu_ns``: CPU time of the
    thread less the cost of tracing; ``chains`` of gaps, in order. ``lost`` calls are
    in ``calls`` but not in ``chains``.
    """

    pid: int
    tid: int
    calls: int
    cpu_ns: float
    chains: tuple[Chain, ...]
    lost: int = 0


def chains(records: Iterable[Enter | Exit | Switch | Lost]) -> Iterator[Chain]:
    """The gaps in the records of one thread, in order, broken where some are lost."""
    found: list[Passed] = []
    last: Enter | None = None
    left: Exit | None = None
    away = slept = False
    for record in records:
        match record:
            case Enter(time, ip, nr):
                if last is not None and (left is not None or last.nr not in _ELSEWHERE):
                    ns = None if left is None or away else time - left.time
                    resume = last.ip if left is None else left.ip
                    found.append(Passed(resume, last.nr, ip, nr, ns, slept))
                elif found:
                    yield tuple(found)
                    found = []
                last, left, away, slept = record, None, False, False
            case Exit():
                left, away = record, False
            case Switch(asleep):
                away = True
                # A thread that is switched out asleep waits in a system call.
                slept = slept or asleep
            case Lost():
                if found:
                    yield tuple(found)
                found, last, left = [], None, None
    if found:
        yield tuple(found)


class Bursts(Protocol):
    """A source of short bursts of events.

    ``call_ns``: ns that tracing adds to each call of a burst. ``gap_ns``: ns between
    two calls with nothing in between, in a burst with times.
    """

    @property
    def call_ns(self) -> float: ...

    @property
    def gap_ns(self) -> float: ...

    def burst(
        self,
        threads: Sequence[tuple[int, int]],
        seconds: float,
        most: int,
        *,
        times: bool = False,
    ) -> tuple[Trace, ...]: ...
