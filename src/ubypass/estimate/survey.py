# SPDX-License-Identifier: GPL-2.0-only
"""Surveys running processes: short, rare bursts of events and a few stepped gaps.

The cost of the survey to the processes is bounded and accounted for.
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
from ubypass.process.status import name_of

__all__ = ["Process", "Program", "Source", "Survey", "Watched", "survey"]

#: Share of the duration of a survey for which threads may be held for stepping; when
#: the share is used up, no further session is begun.
_STEP_SHARE = 0.01
_SESSION = 0.04  # seconds after which a session begins no further gap
_LEAST_USE = 0.01  # of a processor
_LEAST_HELD, _MOST_HELD = 0.05, 0.25  # seconds

#: Bounds of a burst: the calls that it slows down, over all threads, and seconds.
_BURST_CALLS = 1000
_BURST = 0.02
_PERIODS = (0.1, 0.1, 0.2)  # seconds between the first bursts: short programs
_PERIOD = 0.5
_TIMED_FOR = 7  # timed bursts behind the first, at most, until one has found times
_TIMED_AGAIN = 12  # the number of one more timed burst

_THREADS = 32
_SITES = 16  # sites, at most, whose gaps are stepped
_COVERED = 0.97  # share of all gaps that these sites should cover
_FREQUENT = 0.02  # share of all gaps from which on a kind should be stepped
_WAYS = 3  # paths of each kind of gap
_KINDS = 4  # kinds from one site, at most
_LATE = 4  # late gaps from one site, then the site is given up
_PATIENCE = 4.0  # bound of a session, in multiples of the expected time of its steps
_TRIES = 30  # sessions without a path, at most
_LONGER = 3.0  # bound of a survey without any path, in multiples of its duration
_ENOUGH = 50  # gaps seen before any site is chosen for stepping
_STEP_NS = 40_000.0  # assumed time of a step until one has been measured
_LEAST_STEP_NS = 2_000.0
_INSTRUCTIONS_PER_NS = 6.0  # upper bound, for the number of steps of a gap
_GAP_NS = 500.0  # assumed length of a gap without a timing

#: Removal of the tracepoints that also tell times: calls take the slow path for this
#: long, and are slower by this much.
_SLOW_SECONDS, _SLOW_NS = 0.06, 150.0


class Source(Bursts, Protocol):
    """A source of the order of system calls: tracepoints or ptrace."""

    @property
    def name(self) -> str: ...

    @property
    def has_times(self) -> bool: ...


@dataclass(slots=True)
class Watched:
    """One thread: CPU time and counted calls when first and last seen; its bursts."""

    tid: int
    first_ns: int
    last_ns: int
    first_io: int | None
    last_io: int | None
    calls: int = 0
    cpu_ns: float = 0.0
    chains: list[Chain] = field(default_factory=list)

    def gaps(self) -> Iterator[Passed]:
        """All gaps that were seen, in order."""
        for chain in self.chains:
            yield from chain


@dataclass(slots=True)
class Program:
    """The code of one image, shared by processes that were forked from one another."""

    paths: list[steps.SteppedPath] = field(default_factory=list)
    looked: dict[Kind, Looked] = field(default_factory=dict)
    _looked_at: int = 0

    @property
    def is_new(self) -> bool:
        """Whether there are paths that no translation was tried for yet."""
        return len(self.paths) > self._looked_at

    def look(self, pid: int, model: Model) -> None:
        """Translate all paths with the code of process ``pid``. Raises UbError."""
        paths = list(self.paths)
        with ProcessMemory(pid) as memory:
            self.looked = Offline(memory, model).look(paths)
        self._looked_at = len(paths)


@dataclass(slots=True)
class Process:
    """All data of one process. ``seconds``: since the process was first seen."""

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
        """CPU time of all threads in ``seconds``."""
        return self.last_ns - self.first_ns

    @property
    def use(self) -> float:
        """Share of one processor that all threads together use: 0.01 to 1."""
        return min(max(self.cpu_ns / 1e9 / max(self.seconds, 0.1), _LEAST_USE), 1.0)


@dataclass(slots=True)
class Survey:
    """The result of a survey.

    ``gap_ns``: time between two calls with nothing in between, as ``source`` shows it.
    ``seconds``: duration. ``lost``: seconds of thread time that the survey cost the
    processes, as far as known. ``bursts``, ``steps``: their numbers.
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
    """Survey the processes ``pids()``, called again for each burst, for ``seconds``.

    The survey ends early if no process is left or ``is_over()``. Without any stepped
    gap, as on a machine whose processors are all busy, it may take up to three times as
    long. Raises UbError.
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
        """The whole survey."""
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
        """Update the list of processes and their CPU times."""
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
                process = Process(pid, name_of(pid), program)
                process.first_ns = process.last_ns = sum(times[pid].values())
                self._processes[key] = process
                self._born[key] = now
            self._current[pid] = process
            process.seconds = now - self._born[key]
            self._update(process, times[pid])

    def _update(self, process: Process, times: Mapping[int, int]) -> None:
        """Add up CPU time by thread, so that the time of ended threads is kept."""
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
        """Whether a timed burst is still needed."""
        return (
            self._source.has_times
            and self._bursts <= _TIMED_FOR
            and not any(process.times for process in self._current.values())
        )

    @property
    def _lacks_ways(self) -> bool:
        """Whether there are gaps to step and no path at all has been found yet."""
        return (
            self._tries < _TRIES
            and not any(program.paths for program in self._programs.values())
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
        """Step a few gaps of the thread with the most gaps of unknown paths."""
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
        """The number of steps still allowed: in the whole survey, in one session."""
        left = max(_STEP_SHARE * self._seconds, _LEAST_HELD) - self._held
        return max(left, 0) / self._step_s, _SESSION / self._step_s

    def _step_thread(self, process: Process, seen: Watched, wanted: _Wanted) -> None:
        usual = _PATIENCE * wanted.steps * self._step_s + _SESSION
        bounds = steps.Bounds(_SESSION, min(usual, _MOST_HELD), held=_MOST_HELD)
        try:
            found = steps.step(seen.tid, wanted.gaps, bounds)
        except UbError:
            if not os.path.exists(f"/proc/{seen.tid}"):
                return  # the thread has ended
            raise
        process.program.paths += found.paths
        self._tries += not found.paths
        self._steps += found.steps
        if found.step_ns is not None:
            self._step_s = min(self._step_s, max(found.step_ns, _LEAST_STEP_NS) / 1e9)
        # Time in which other threads have the processor is no loss to this one.
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
    """``gaps``: the number of gaps to step, by resume address; ``steps``: an upper
    bound of the steps for all of them.
    """

    gaps: Mapping[int, int]
    steps: float


def _wanted(
    process: Process, steps_left: float, at_once: float, floor_ns: float
) -> _Wanted:
    """The gaps to step next: one of each site first, short gaps before long ones.

    At most ``at_once`` steps and ``steps_left`` in all; the first gap may take more.
    """
    quotas = _quotas(process)
    paths = process.program.paths
    stepped = Counter(w.resume for w in paths if w.end is not steps.End.SIGNAL)
    late = Counter(w.resume for w in paths if w.end is steps.End.LATE)
    long = {w.resume for w in paths if w.end is steps.End.LONG}
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
            # The first gap is always tried: times are too long on a busy machine.
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
    """The number of gaps to step of each frequent site, by resume address."""
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
    """The median length in ns of the timed gaps of each site, by resume address."""
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
    """An identity of the image: constant from exec to exit, shared with children.

    Empty if there is none at present.
    """
    try:
        with open(f"/proc/{pid}/auxv", "rb") as file:
            found = file.read()
    except OSError:
        return b""
    # Zeros during an exec: the memory is new, the name may still be the old one.
    return found if any(found) else b""
