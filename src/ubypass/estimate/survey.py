# SPDX-License-Identifier: GPL-2.0-only
"""Looks at processes for a while, seldom and briefly: bursts, and a few stepped gaps.

Of what that costs them an account is kept, and there is a bound to it.
"""

from __future__ import annotations

import os
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ubypass.cost.model import Model
from ubypass.errors import UbError
from ubypass.estimate import steps
from ubypass.estimate.busy import busiest, cpu_times
from ubypass.estimate.counters import reads_and_writes
from ubypass.estimate.offline import Kind, Looked, Offline
from ubypass.estimate.trace import Bursts, Chain, Passed
from ubypass.process.memory import ProcessMemory

__all__ = ["Process", "Program", "Source", "Survey", "Watched", "survey"]

#: Of the time of a survey, for which a thread is held to be stepped: when so much is
#: spent no further session is begun.
_STEP_SHARE = 0.01
_SESSION = 0.04  # seconds after which no further gap is begun
_LEAST_USE = 0.01  # of a processor
_LEAST_HELD, _MOST_HELD = 0.05, 0.25  # seconds

#: Calls that a burst may slow down, in all threads, and how long it may last.
_BURST_CALLS = 1000
_BURST = 0.02
_PERIODS = (0.1, 0.1, 0.2)  # seconds between the first bursts, for who ends soon
_PERIOD = 0.5
_TIMED_FOR = 7  # bursts behind the first, until one has met a thread running
_TIMED_AGAIN = 12  # the number of one more that looks at times

_THREADS = 32
_SITES = 16  # whose gaps are stepped
_COVERED = 0.97  # part of all gaps that these should have
_FREQUENT = 0.02  # of all gaps: kinds that should be seen
_WAYS = 3  # of each kind of gap
_KINDS = 4  # from one site
_LATE = 4  # gaps from one site that took too long
_PATIENCE = 4.0  # times as long as steps usually take
_TRIES = 30  # sessions that may come back with nothing
_LONGER = 3.0  # times as long as asked for, until one has come back with something
_ENOUGH = 50  # gaps that say where to step
_STEP_NS = 40_000.0  # of a step, until some have been made
_LEAST_STEP_NS = 2_000.0
_INSTRUCTIONS_PER_NS = 6.0  # at most, to tell how many steps a gap may take
_GAP_NS = 500.0  # of one that has not been timed

#: While tracepoints are taken away that also tell times, calls go the slow way: for so
#: long, and by so much.
_SLOW_SECONDS, _SLOW_NS = 0.06, 150.0


class Source(Bursts, Protocol):
    """What tells which calls follow one another."""

    @property
    def name(self) -> str: ...

    @property
    def has_times(self) -> bool: ...


@dataclass(slots=True)
class Watched:
    """One thread: CPU time and counted calls when first and last seen, its bursts."""

    tid: int
    first_ns: int
    last_ns: int
    first_io: int | None
    last_io: int | None
    calls: int = 0
    cpu_ns: float = 0.0
    chains: list[Chain] = field(default_factory=list)

    def gaps(self) -> Iterator[Passed]:
        """All that were seen."""
        for chain in self.chains:
            yield from chain


@dataclass(slots=True)
class Program:
    """Code that processes share which were forked from one another."""

    ways: list[steps.Way] = field(default_factory=list)
    looked: dict[Kind, Looked] = field(default_factory=dict)
    _looked_at: int = 0

    @property
    def is_new(self) -> bool:
        """Whether there are ways that have not been looked at."""
        return len(self.ways) > self._looked_at

    def look(self, pid: int, model: Model) -> None:
        """Translate, while process ``pid`` has the code. Raises UbError."""
        ways = list(self.ways)
        with ProcessMemory(pid) as memory:
            self.looked = Offline(memory, model).look(ways)
        self._looked_at = len(ways)


@dataclass(slots=True)
class Process:
    """All that was seen of one. ``seconds``: since it was first seen."""

    pid: int
    name: str
    program: Program
    threads: dict[int, Watched] = field(default_factory=dict)
    times: list[Chain] = field(default_factory=list)
    seconds: float = 0.0
    first_ns: int = 0
    last_ns: int = 0

    @property
    def cpu_ns(self) -> int:
        """CPU time of all its threads meanwhile."""
        return self.last_ns - self.first_ns

    @property
    def use(self) -> float:
        """Of a processor, by its threads together; not less than they might."""
        return min(max(self.cpu_ns / 1e9 / max(self.seconds, 0.1), _LEAST_USE), 1.0)


@dataclass(slots=True)
class Survey:
    """``processes`` and how they were looked at; ``seconds`` in all. ``lost``: seconds
    of a thread that the looking took, as far as that is known.
    """

    source: str
    gap_ns: float
    processes: list[Process]
    seconds: float
    lost: float
    bursts: int
    steps: int


def survey(
    pids: Callable[[], Sequence[int]],
    seconds: float,
    source: Source,
    model: Model,
    is_over: Callable[[], bool] = lambda: False,
) -> Survey:
    """Look at the processes ``pids()``, which may become others, for ``seconds``.

    Ends early once there are none or ``is_over()``; later, but not much, if no gap was
    stepped by then, as on a machine whose processors are all busy. Raises UbError.
    """
    return _Surveyor(pids, seconds, source, model).run(is_over)


class _Surveyor:
    def __init__(
        self,
        pids: Callable[[], Sequence[int]],
        seconds: float,
        source: Source,
        model: Model,
    ) -> None:
        self._pids = pids
        self._seconds = seconds
        self._source = source
        self._model = model
        self._programs: dict[bytes, Program] = {}
        self._processes: dict[tuple[int, bytes], Process] = {}
        self._current: dict[int, Process] = {}
        self._born: dict[tuple[int, bytes], float] = {}
        self._before: Mapping[int, Mapping[int, int]] = {}
        self._held = 0.0  # seconds
        self._step_s = _STEP_NS / 1e9  # the shortest so far
        self._lost = 0.0
        self._steps = 0
        self._tries = 0
        self._bursts = 0

    def run(self, is_over: Callable[[], bool]) -> Survey:
        """All of it."""
        began = time.monotonic()
        end, latest = began + self._seconds, began + _LONGER * self._seconds
        self._meet()
        while self._current and not is_over():
            now = time.monotonic()
            if now >= (latest if self._lacks_ways else end):
                break
            number = self._bursts
            period = _PERIODS[number] if number < len(_PERIODS) else _PERIOD
            time.sleep(min(period, end - now) if now < end else period)
            self._meet()
            self._burst()
            self._step()
        self._meet()
        self._look()
        return Survey(
            self._source.name,
            self._source.gap_ns,
            list(self._processes.values()),
            time.monotonic() - began,
            self._lost,
            self._bursts,
            self._steps,
        )

    def _meet(self) -> None:
        """Who is there, and what has each used so far."""
        pids = [*dict.fromkeys(self._pids())]
        times = cpu_times(pids)
        now = time.monotonic()
        self._current = {}
        for pid in pids:
            key = (pid, _image(pid))
            if not key[1] or not times[pid]:
                continue
            process = self._processes.get(key)
            if process is None:
                program = self._programs.setdefault(key[1], Program())
                process = Process(pid, _name(pid), program)
                process.first_ns = process.last_ns = sum(times[pid].values())
                self._processes[key] = process
                self._born[key] = now
            self._current[pid] = process
            process.seconds = now - self._born[key]
            self._update(process, times[pid])

    def _update(self, process: Process, times: Mapping[int, int]) -> None:
        """Threads that have ended take their CPU time with them: it is kept."""
        for tid, ns in times.items():
            io = reads_and_writes(process.pid, tid)
            seen = process.threads.get(tid)
            if seen is None:
                process.threads[tid] = Watched(tid, ns, ns, io, io)
            else:
                process.last_ns += max(ns - seen.last_ns, 0)
                seen.last_ns, seen.last_io = ns, io

    @property
    def _lacks_times(self) -> bool:
        """Whether the times of gaps are still to be looked at."""
        return (
            self._source.has_times
            and self._bursts <= _TIMED_FOR
            and not any(process.times for process in self._current.values())
        )

    @property
    def _lacks_ways(self) -> bool:
        """Whether there are gaps that should be stepped, and none at all has been."""
        return (
            self._tries < _TRIES
            and not any(program.ways for program in self._programs.values())
            and any(_quotas(process) for process in self._current.values())
        )

    def _burst(self) -> None:
        times = {
            pid: {tid: w.last_ns for tid, w in process.threads.items()}
            for pid, process in self._current.items()
        }
        threads = list(busiest(self._before, times, _THREADS))
        self._before = times
        if not threads:
            return
        timed = self._lacks_times if self._bursts else False
        timed |= self._source.has_times and self._bursts == _TIMED_AGAIN
        most = max(_BURST_CALLS // len(threads), 100)
        found = self._source.burst(threads, _BURST, most, times=timed)
        self._bursts += 1
        for trace in found:
            process = self._current[trace.pid]
            self._lost += trace.calls * self._source.call_ns / 1e9
            if timed:
                process.times += trace.chains
                if trace.cpu_ns > 0:
                    more = _SLOW_NS * trace.calls / trace.cpu_ns
                    self._lost += more / (1 + more) * _SLOW_SECONDS * process.use
                continue
            seen = process.threads[trace.tid]
            seen.calls += trace.calls
            seen.cpu_ns += trace.cpu_ns
            seen.chains += trace.chains

    def _step(self) -> None:
        """A few gaps of the thread that has most that are not known yet."""
        if self._lacks_times:
            return  # which gaps are short is not known yet
        best: tuple[int, Process, Watched, _Wanted] | None = None
        for process in self._current.values():
            wanted = _wanted(process, *self._affordable(), self._source.gap_ns)
            if not wanted.gaps and process.program.is_new:
                self._look_at(process)
            for seen in process.threads.values():
                count = sum(passed.resume in wanted.gaps for passed in seen.gaps())
                if count and (best is None or count > best[0]):
                    best = count, process, seen, wanted
        if best is not None and self._tries < _TRIES:
            self._step_thread(*best[1:])

    def _affordable(self) -> tuple[float, float]:
        """Steps that threads may still be held for: in all, and in one session."""
        left = max(_STEP_SHARE * self._seconds, _LEAST_HELD) - self._held
        return max(left, 0) / self._step_s, _SESSION / self._step_s

    def _step_thread(self, process: Process, seen: Watched, wanted: _Wanted) -> None:
        usual = _PATIENCE * wanted.steps * self._step_s + _SESSION
        bounds = steps.Bounds(_SESSION, min(usual, _MOST_HELD), held=_MOST_HELD)
        try:
            found = steps.step(seen.tid, wanted.gaps, bounds)
        except UbError:
            if not os.path.exists(f"/proc/{seen.tid}"):
                return  # it has ended, as threads do
            raise
        process.program.ways += found.ways
        self._tries += not found.ways
        self._steps += found.steps
        if found.step_ns is not None:
            self._step_s = min(self._step_s, max(found.step_ns, _LEAST_STEP_NS) / 1e9)
        # While others have the processor it loses nothing by us.
        held = found.seconds - found.delayed
        self._held += held
        self._lost += held * process.use

    def _look(self) -> None:
        for process in self._current.values():
            if process.program.is_new:
                self._look_at(process)

    def _look_at(self, process: Process) -> None:
        try:
            process.program.look(process.pid, self._model)
        except UbError:
            if _image(process.pid):
                raise


@dataclass(frozen=True, slots=True)
class _Wanted:
    """How many more ``gaps`` are to be stepped, by the sites that they begin at; so
    many ``steps`` that may take, at most.
    """

    gaps: Mapping[int, int]
    steps: float


def _wanted(
    process: Process, steps_left: float, at_once: float, floor_ns: float
) -> _Wanted:
    """What to step next: one gap of each site first, short ones before long ones.

    As far as steps go, so many ``at_once``, or a single gap that is longer.
    """
    quotas = _quotas(process)
    ways = process.program.ways
    stepped = Counter(w.resume for w in ways if w.end is not steps.End.SIGNAL)
    late = Counter(w.resume for w in ways if w.end is steps.End.LATE)
    long = {w.resume for w in ways if w.end is steps.End.LONG}
    lengths = _lengths(process, floor_ns)
    for first in (True, False):
        found: dict[int, int] = {}
        total = 0.0
        for resume in sorted(quotas, key=lambda at: lengths.get(at, _GAP_NS)):
            done = stepped[resume] - late[resume]
            more = (1 if first else quotas[resume]) - done
            if more <= 0 or resume in long or late[resume] >= _LATE:
                continue
            each = lengths.get(resume, _GAP_NS) * _INSTRUCTIONS_PER_NS
            # The first one is tried in any case: times say too much on a busy machine.
            if found:
                more = min(more, int((at_once - total) / each))
                if more <= 0 or total + more * each > steps_left:
                    break
            elif steps_left <= 0:
                break
            total += more * each
            found[resume] = more
        if found:
            return _Wanted(found, total)
    return _Wanted({}, 0.0)


def _quotas(process: Process) -> dict[int, int]:
    """How many gaps of each site should be stepped, of sites that are frequent."""
    kinds: dict[int, Counter[int]] = {}
    for seen in process.threads.values():
        for passed in seen.gaps():
            kinds.setdefault(passed.resume, Counter())[passed.following] += 1
    total = sum(counts.total() for counts in kinds.values())
    if total < _ENOUGH:
        return {}
    quotas: dict[int, int] = {}
    covered = 0
    ranked = sorted(kinds.items(), key=lambda row: -row[1].total())
    for resume, counts in ranked[:_SITES]:
        if covered >= _COVERED * total:
            break
        covered += counts.total()
        frequent = sum(n >= _FREQUENT * total for n in counts.values())
        quotas[resume] = _WAYS * min(max(frequent, 1), _KINDS)
    return quotas


def _lengths(process: Process, floor_ns: float) -> dict[int, float]:
    """ns of the gaps from each site, the median of those timed."""
    times: dict[int, list[int]] = {}
    for chain in process.times:
        for passed in chain:
            if passed.ns is not None:
                times.setdefault(passed.resume, []).append(passed.ns)
    return {
        resume: max(statistics.median(found) - floor_ns, 10.0)
        for resume, found in times.items()
    }


def _image(pid: int) -> bytes:
    """What a process keeps from its exec to its end, and its children share."""
    try:
        with open(f"/proc/{pid}/auxv", "rb") as file:
            return file.read()
    except OSError:
        return b""


def _name(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", errors="replace") as file:
            name = file.read().rstrip("\n")
    except OSError:
        return "?"
    return "".join(c if c.isprintable() else "?" for c in name)
