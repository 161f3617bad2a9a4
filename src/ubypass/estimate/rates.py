# SPDX-License-Identifier: GPL-2.0-only
"""Rate and order of the system calls of threads, by tracepoints.

Tracing is done in short bursts: while system calls are traced, all programs of the
machine take the slow path of the system call entry. Between bursts no event is open and
nothing is slower. The cost of tracing is measured with a loop of this process and
subtracted from the CPU time of a burst.

One tracepoint suffices for all data but the time between calls. The removal of one is
quick, although the kernel waits for some 50 ms afterwards; with two tracepoints calls
stay slow for that time. Timed bursts are therefore separate and rare.
"""

from __future__ import annotations

import contextlib
import ctypes
import statistics
import struct
import time
from collections.abc import Callable, Iterable, Iterator

from ubypass.errors import UbError, permission_hint
from ubypass.estimate.trace import Enter, Exit, Lost, Switch, Trace, chains
from ubypass.executable import Executable
from ubypass.process.perf import Attr, Event, Flag, Kind, Record, Ring, Sample
from ubypass.process.tracepoints import tracepoint_numbers

__all__ = ["RING_CALLS", "Tracepoints"]

_TASK_CLOCK = 1  # enum perf_sw_ids
_REGISTER_IP = 8  # enum perf_event_x86_regs
_SWITCH_OUT, _PREEMPTED = 1 << 13, 1 << 14  # of PERF_RECORD_SWITCH
_PAGES = 64
_RECORD = 104  # bytes of the record of a call's start in the ring

#: Calls of a thread in a burst, at most: their records fit into the ring, with room
#: for other records and for the ends of calls.
RING_CALLS = 1000

_TIME_SIZE = struct.Struct("<QI")
_TYPE_ID = struct.Struct("<H6xq")  # start of the raw data of both tracepoints
_IP = struct.Struct("<QQ")  # abi ip

#: void f(int n): n times getppid, with a gap of two instructions.
_LOOP = bytes.fromhex("53 89fb b86e000000 0f05 ffcb 75f5 5b c3")
_TURNS = 100
_ROUNDS = 8
_LOOK = 0.0005  # seconds between checks whether all watches are over


class Tracepoints:
    """Traces threads by the tracepoints ``raw_syscalls``.

    Raises UbError if the kernel does not allow this.
    """

    def __init__(self) -> None:
        names = ("raw_syscalls/sys_enter", "raw_syscalls/sys_exit")
        self._enter, self._exit = tracepoint_numbers(names)
        self._code = Executable(_LOOP)
        self._loop = ctypes.CFUNCTYPE(None, ctypes.c_int)(self._code.address)
        self._costs: list[float] = []
        self._gaps: list[int] = []
        try:
            for times in (False, True):
                self._calibrated(times, _ROUNDS)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Release the code of the loop."""
        self._code.close()

    @property
    def name(self) -> str:
        """The name of the source in output for people and programs."""
        return "tracepoints"

    @property
    def has_times(self) -> bool:
        """Whether a burst can record times."""
        return True

    @property
    def call_ns(self) -> float:
        """ns that tracing adds to each call of a burst."""
        return statistics.median(self._costs)

    @property
    def gap_ns(self) -> float:
        """ns between two calls with nothing in between in a timed burst: the cost of
        the records and of the transition.
        """
        return statistics.median(self._gaps)

    def burst(
        self,
        threads: Iterable[tuple[int, int]],
        seconds: float,
        most: int = RING_CALLS,
        *,
        times: bool = False,
    ) -> tuple[Trace, ...]:
        """Watch ``threads``, pairs of process and thread id, all at once.

        Ends when each thread has made ``most`` calls, or after ``seconds``. ``times``:
        record the times of gaps too, which costs the program more. Threads that have
        ended are left out. Raises UbError if a thread may not be traced.
        """
        most = min(most, RING_CALLS)
        with contextlib.ExitStack() as stack:
            watched: list[tuple[int, int, _Watch]] = []
            for pid, tid in threads:
                with contextlib.suppress(ProcessLookupError):
                    watch = stack.enter_context(self._watch(tid, times))
                    watched.append((pid, tid, watch))
            if watched and not times:
                self._calibrated(times, 1)
            end = time.monotonic() + seconds
            for _, _, watch in watched:
                watch.begin(most)
            while time.monotonic() < end and not all(w.is_over for _, _, w in watched):
                time.sleep(_LOOK)
            for _, _, watch in watched:
                watch.end()
        return tuple(self._trace(pid, tid, watch) for pid, tid, watch in watched)

    def _calibrated(self, times: bool, rounds: int) -> None:
        """Measure the cost of tracing now: it depends on the load of the machine."""
        native = min(_timed(self._loop) for _ in range(3))
        with self._watch(0, times) as watch:
            traced = []
            for _ in range(rounds):
                watch.begin(RING_CALLS)
                traced.append(_timed(self._loop))
                watch.end()
        if not watch.calls:
            raise UbError(
                "the kernel delivers no events of system calls",
                "a container or a security module may filter them",
            )
        if times:
            self._gaps += [
                passed.ns
                for chain in chains(watch.records())
                for passed in chain
                if passed.ns is not None and passed.resume == passed.following
            ]
        else:
            # The median, not the minimum: the cost that the program pays.
            self._costs.append(max(statistics.median(traced) - native, 0.0))

    def _trace(self, pid: int, tid: int, watch: _Watch) -> Trace:
        records = watch.records()
        entered = sum(isinstance(record, Enter) for record in records)
        # The estimated cost may exceed the CPU time of a program that only makes calls.
        spent = watch.calls * self.call_ns
        cpu = max(watch.cpu_ns - spent, 0.05 * watch.cpu_ns)
        missing = max(watch.calls - entered, 0)
        return Trace(pid, tid, watch.calls, cpu, tuple(chains(records)), missing)

    @contextlib.contextmanager
    def _watch(self, tid: int, times: bool) -> Iterator[_Watch]:
        try:
            watch = _Watch(self._enter, self._exit if times else None, tid)
        except ProcessLookupError:
            raise
        except OSError as error:
            raise UbError(
                f"cannot trace the system calls of thread {tid}: {error.strerror}",
                permission_hint(),
            ) from error
        try:
            yield watch
        finally:
            watch.close()


def _timed(loop: Callable[[int], object]) -> float:
    began = time.perf_counter_ns()
    loop(_TURNS)
    return (time.perf_counter_ns() - began) / _TURNS


class _Watch:
    """The perf events of one thread. ``leave``: tracepoint of exits; None: no times.

    Raises OSError.
    """

    def __init__(self, enter: int, leave: int | None, tid: int) -> None:
        self._enter = enter
        self._events: list[Event] = []
        self._ring: Ring | None = None
        self._records: list[Enter | Exit | Switch | Lost] = []
        self._most = 0
        self.cpu_ns = 0
        self.calls = 0
        sample = Sample.TIME | Sample.RAW | Sample.REGS_USER
        ip = 1 << _REGISTER_IP
        flags = Flag.SAMPLE_ID_ALL
        first = flags | Flag.CONTEXT_SWITCH | Flag.DISABLED
        try:
            leader = self._open(Attr(Kind.TRACEPOINT, enter, 1, sample, first, ip), tid)
            self._open(Attr(Kind.SOFTWARE, _TASK_CLOCK), tid, leader)
            self._ring = Ring(leader, _PAGES)
            if leave is not None:
                attr = Attr(Kind.TRACEPOINT, leave, 1, sample, flags, ip)
                self._open(attr, tid, leader).output_to(leader)
        except BaseException:
            self.close()
            raise

    def begin(self, most: int) -> None:
        """Start to record at most ``most`` calls."""
        self._most = most
        self._events[0].enable_for(most)

    @property
    def is_over(self) -> bool:
        """Whether the records of that many calls are in the ring."""
        return self._ring is None or self._ring.filled >= self._most * _RECORD

    def end(self) -> None:
        """Stop and read the records; ``calls`` and ``cpu_ns`` are totals so far."""
        self._events[0].disable()
        self.calls, self.cpu_ns = (event.value() for event in self._events[:2])
        if self._ring is not None:
            self._records += self._parsed(self._ring)

    def records(self) -> list[Enter | Exit | Switch | Lost]:
        """All records, after :meth:`end`."""
        return self._records

    def close(self) -> None:
        """Close the ring and all events."""
        if self._ring is not None:
            self._ring.close()
            self._ring = None
        while self._events:
            self._events.pop().close()

    def _open(self, attr: Attr, tid: int, leader: Event | None = None) -> Event:
        event = Event(attr, tid, leader)
        self._events.append(event)
        return event

    def _parsed(self, ring: Ring) -> Iterator[Enter | Exit | Switch | Lost]:
        for kind, misc, data in ring.take():
            if kind == Record.SAMPLE:
                when, size = _TIME_SIZE.unpack_from(data)
                which, number = _TYPE_ID.unpack_from(data, _TIME_SIZE.size)
                _, ip = _IP.unpack_from(data, _TIME_SIZE.size + size)
                if which == self._enter:
                    yield Enter(when, ip, number)
                else:
                    yield Exit(when, ip, number)
            elif kind == Record.SWITCH and misc & _SWITCH_OUT:
                yield Switch(asleep=not misc & _PREEMPTED)
            elif kind == Record.LOST:
                yield Lost(int.from_bytes(data[8:16], "little"))
