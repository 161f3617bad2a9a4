# SPDX-License-Identifier: GPL-2.0-only
"""The paths of a few gaps, instruction by instruction, by ptrace.

A child process (the *keeper*) does the stepping. The keeper leads a session of its own
and handles SIGTERM, which the kernel sends if the parent dies, by an orderly detach. If
the keeper itself were killed while stepping, the trap flag would stay set and end the
program (see :mod:`ubypass.process.ptrace`). Only running threads are stopped, so that
no waiting system call is disturbed.
"""

from __future__ import annotations

import contextlib
import ctypes
import enum
import json
import os
import select
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NoReturn

from ubypass.errors import UbError, permission_hint
from ubypass.estimate.busy import is_running
from ubypass.estimate.steppable import LONGEST, is_syscall, may_step
from ubypass.process.memory import ProcessMemory
from ubypass.process.ptrace import Stop, Stopped, Thread

__all__ = ["Bounds", "End", "Session", "SteppedPath", "step"]

_CHUNK = 1 << 16
_TICK = 0.005  # seconds between the keeper's checks of its bounds while it waits
_GRACE = 2.0  # seconds for the keeper to detach
_PR_SET_PDEATHSIG = 1
_NICE = -15

_EINTR = -4
_RESTARTNOHAND = -514
#: Calls that a stop ends with EINTR although no signal handler has run (signal(7)):
#: semop, rt_sigtimedwait, io_getevents, semtimedop, epoll_wait, epoll_pwait,
#: io_pgetevents, epoll_pwait2.
_NOT_RESTARTED = frozenset({65, 128, 208, 220, 232, 281, 333, 441})


class End(enum.StrEnum):
    """How a path ended."""

    CALL = "call"  # at the next system call
    LONG = "long"  # at the bound of steps
    LATE = "late"  # at the bound of time
    UNSTEPPABLE = "unsteppable"  # before an instruction that cannot be stepped
    SIGNAL = "signal"  # at a signal, which was delivered


@dataclass(frozen=True, slots=True)
class SteppedPath:
    """A path from the return of call ``nr`` at ``resume``.

    ``ips``: the addresses of the instructions in order of execution. With ``End.CALL``
    the last one is the next system call, which was not executed.
    """

    resume: int
    nr: int
    ips: tuple[int, ...]
    end: End

    @property
    def following(self) -> int:
        """The resume address of the next call; 0 if the path ends without a call."""
        return self.ips[-1] + 2 if self.end is End.CALL else 0


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of a session.

    ``seconds``: no further gap is begun after this time. ``most``: seconds after which
    the session ends, even inside a gap. ``steps``: no further gap is begun after this
    number of steps. ``longest``: bound of the steps of a gap. ``calls``: the number of
    calls to report. Time in which the thread waits for a processor does not count, but
    the session ends after ``max(most, held)`` seconds in any case.
    """

    seconds: float = 0.03
    most: float = 0.25
    steps: int = 20_000
    longest: int = 6_000
    calls: int = 0
    held: float = 0.0


@dataclass(frozen=True, slots=True)
class Session:
    """The result of a session: ``paths`` in order, the number of ``steps``, and the
    ``seconds`` for which the thread was held.

    ``busy``: whether the thread was found running; if not, nothing was done. ``calls``:
    resume address and number of consecutive calls. ``step_ns``: mean time of a step;
    None without steps. ``delayed``: the part of ``seconds`` in which the thread waited
    for a processor.
    """

    paths: tuple[SteppedPath, ...] = ()
    steps: int = 0
    seconds: float = 0.0
    busy: bool = True
    calls: tuple[tuple[int, int], ...] = ()
    step_ns: float | None = None
    delayed: float = 0.0


def step(tid: int, wanted: Mapping[int, int], bounds: Bounds) -> Session:
    """Step gaps of thread ``tid``; ``wanted``: number of gaps by resume address.

    Raises UbError if the thread may not be traced or has ended. The thread continues
    undisturbed in all cases, including exceptions (a signal to this process).
    """
    ours, theirs = os.pipe()
    us = os.getpid()
    keeper = os.fork()
    if keeper == 0:
        _keep(us, tid, wanted, bounds, theirs)
    os.close(theirs)
    patience = max(bounds.most, bounds.held) + _GRACE
    try:
        return _received(ours, tid, time.monotonic() + patience)
    finally:
        os.close(ours)
        # The keeper has its own bounds; the signal is for an early end of this process.
        with contextlib.suppress(ProcessLookupError):
            os.kill(keeper, signal.SIGTERM)
        _reap(keeper)


def _reap(keeper: int) -> None:
    """Reap the keeper, but wait for a bounded time: the kernel may delay the thread."""
    end = time.monotonic() + _GRACE
    while time.monotonic() < end:
        with contextlib.suppress(ChildProcessError):
            if not os.waitpid(keeper, os.WNOHANG)[0]:
                time.sleep(_TICK / 5)
                continue
        return


def _received(source: int, tid: int, deadline: float) -> Session:
    data = bytearray()
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([source], [], [], left)[0]:
            break
        part = os.read(source, _CHUNK)
        if not part:
            break
        data += part
    paths: list[SteppedPath] = []
    session = Session()
    # The last line may be incomplete: the text behind the last newline is dropped.
    for line in bytes(data).split(b"\n")[:-1]:
        found = json.loads(line)
        if "failed" in found:
            raise _failure(tid, found["failed"])
        if "ips" in found:
            ips = tuple(found["ips"])
            paths.append(
                SteppedPath(found["resume"], found["nr"], ips, End(found["end"]))
            )
        else:
            calls = tuple((ip, nr) for ip, nr in found["calls"])
            session = Session(
                *((), found["steps"], found["seconds"], found["busy"], calls),
                found["step_ns"],
                found["delayed"],
            )
    return replace(session, paths=tuple(paths))


def _failure(tid: int, what: str) -> UbError:
    if what == "ended":
        return UbError(f"thread {tid} ended while it was observed")
    return UbError(
        f"thread {tid} may not be traced: {what}",
        f"{permission_hint()}; a thread can have only one tracer",
    )


def _keep(
    parent: int, tid: int, wanted: Mapping[int, int], bounds: Bounds, out: int
) -> NoReturn:  # pragma: no cover - in the child
    """The keeper's main function. No exit handler of the parent may run here."""
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        # No file of the parent stays open but the pipe: neither the terminal nor the
        # read end, so that a write fails when the reader has ended.
        out = os.dup2(out, 0)
        os.closerange(1, os.sysconf("SC_OPEN_MAX"))
        keeper = _Keeper(tid, dict(wanted), bounds, out)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, keeper.ask)
        signal.signal(signal.SIGALRM, lambda *_: None)
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
        if os.getppid() == parent:
            with contextlib.suppress(OSError):
                os.nice(_NICE)
            # The timer interrupts the wait for the thread.
            signal.setitimer(signal.ITIMER_REAL, _TICK, _TICK)
            keeper.run()
    finally:
        os._exit(0)


class _Keeper:
    """Steps one thread and reports paths as lines of JSON."""

    def __init__(
        self, tid: int, wanted: dict[int, int], bounds: Bounds, out: int
    ) -> None:
        self._tid = tid
        self._wanted = wanted
        self._bounds = bounds
        self._out = out
        self._soft = self._first = self._hard = self._latest = 0.0
        self._delayed = 0.0  # run delay before the session, in seconds
        self._asked = False
        self._steps = 0
        self._stepping = 0.0  # seconds
        self._may: dict[int, bool | None] = {}
        self._calls: list[tuple[int, int]] = []
        # The stop that the thread is in; None: the thread runs.
        self._at: Stop | None = None

    def ask(self, number: int, frame: object) -> None:
        """Signal handler: ask the keeper to detach."""
        self._asked = True

    def run(self) -> None:
        """The whole session."""
        if not self._met_running():
            if os.path.exists(f"/proc/{self._tid}"):
                self._tell(
                    steps=0,
                    seconds=0.0,
                    busy=False,
                    calls=[],
                    step_ns=None,
                    delayed=0.0,
                )
            else:
                self._tell(failed="ended")
            return
        began = time.monotonic()
        self._delayed = self._delay()
        self._latest = began + max(self._bounds.most, self._bounds.held)
        self._hard = began + self._bounds.most
        self._soft = min(began + self._bounds.seconds, self._hard)
        # The first wanted gap may come late.
        self._first = min(began + 2 * self._bounds.seconds, self._hard)
        try:
            with ProcessMemory(self._tid) as self._memory:
                self._thread = Thread(self._tid)
                self._thread.interrupt()
                try:
                    self._follow()
                finally:
                    self._let_go()
        except Stopped:
            self._tell(failed="ended")
        except OSError as error:
            self._tell(failed=error.strerror or "not allowed")
        except UbError as error:
            self._tell(failed=error.message)
        else:
            seconds = time.monotonic() - began
            self._tell(
                steps=self._steps,
                seconds=seconds,
                busy=True,
                calls=self._calls,
                step_ns=1e9 * self._stepping / self._steps if self._steps else None,
                delayed=min(max(self._delay() - self._delayed, 0.0), seconds),
            )

    def _delay(self) -> float:
        """Seconds that the thread has waited for a processor so far; 0 if unknown."""
        try:
            with open(f"/proc/{self._tid}/schedstat") as file:
                return int(file.read().split()[1]) / 1e9
        except (OSError, ValueError, IndexError):
            return 0.0

    def _is_late(self, deadline: float) -> bool:
        """Whether ``deadline`` has passed, without the run delay of the thread."""
        now = time.monotonic()
        if now <= deadline or now > self._latest:
            return now > deadline
        return now - max(self._delay() - self._delayed, 0.0) > deadline

    def _met_running(self) -> bool:
        end = time.monotonic() + self._bounds.most
        while time.monotonic() < end and not self._asked:
            if is_running(self._tid):
                return True
            time.sleep(0.0002)
        return False

    def _tell(self, **what: object) -> None:
        data = json.dumps(what).encode() + b"\n"
        with contextlib.suppress(OSError):  # the reader has ended
            while data:
                data = data[os.write(self._out, data) :]

    def _wait(self, deadline: float) -> bool:
        """Wait for a stop; False at ``deadline`` or when asked to detach."""
        while True:
            found = self._thread.wait()
            if found is not None:
                self._at = found
                return True
            if self._asked or self._is_late(deadline):
                return False

    def _is_over(self, deadline: float) -> bool:
        return (
            self._asked
            or self._is_late(deadline)
            or self._steps >= self._bounds.steps
            or (not any(self._wanted.values()) and self._has_calls)
        )

    @property
    def _has_calls(self) -> bool:
        return len(self._calls) >= self._bounds.calls

    def _follow(self) -> None:
        """Follow the thread from call to call; step wanted gaps."""
        if not self._wait(self._hard):
            return
        self._mend()
        while not self._is_over(self._soft if self._steps else self._first):
            stop = self._at
            assert stop is not None
            if stop.group:
                return
            if stop.call and self._is_wanted():
                with self._preferred():
                    self._gap()
                continue
            self._at = None
            self._thread.to_call(stop.signal)
            if not self._wait(self._soft if self._steps else self._first):
                return

    def _is_wanted(self) -> bool:
        call = self._thread.call()
        if call is None:
            return False
        if call.entry:
            if not self._has_calls:
                self._calls.append((call.ip, call.nr))
            return False
        return self._wanted.get(call.ip, 0) > 0

    @contextlib.contextmanager
    def _preferred(self) -> Iterator[None]:
        """Raise the thread's priority: on a busy machine each step would wait.

        Used only between two calls, so that no child of the thread inherits it.
        """
        usual: int | None
        try:
            usual = os.getpriority(os.PRIO_PROCESS, self._tid)
            os.setpriority(os.PRIO_PROCESS, self._tid, min(usual, _NICE))
        except OSError:
            usual = None  # only root may
        try:
            yield
        finally:
            if usual is not None:
                with contextlib.suppress(OSError):
                    os.setpriority(os.PRIO_PROCESS, self._tid, usual)

    def _gap(self) -> None:
        """Step from the return of a call to the next call, and report the path."""
        registers = self._thread.registers()
        ips: list[int] = []
        began = time.monotonic()
        end = self._path(registers.ip, ips)
        self._stepping += time.monotonic() - began
        if end is None:
            return
        if end is not End.SIGNAL:
            self._wanted[registers.ip] -= 1
        self._tell(resume=registers.ip, nr=registers.nr, ips=ips, end=end.value)
        if self._at is not None and self._at.is_step:
            self._at = Stop()  # the trap is ours, not the program's

    def _path(self, ip: int, ips: list[int]) -> End | None:
        """Step from ``ip`` and append to ``ips``; None when asked to detach."""
        while True:
            ips.append(ip)
            may = self._look(ip)
            if not may:
                return End.CALL if may is None else End.UNSTEPPABLE
            if len(ips) > self._bounds.longest:
                return End.LONG
            if self._is_late(self._hard):
                return End.LATE
            if self._asked:
                return None
            self._at = None
            self._thread.step()
            self._steps += 1
            if not self._wait(self._hard):
                return None if self._asked else End.LATE
            if self._at is None or not self._at.is_step:
                return End.SIGNAL
            ip = self._thread.ip()

    def _look(self, ip: int) -> bool | None:
        """Whether the instruction may be stepped; None for a system call."""
        if ip not in self._may:
            code = self._memory.read(ip, LONGEST)
            self._may[ip] = None if is_syscall(code) else may_step(code)
        return self._may[ip]

    def _let_go(self) -> None:
        """Detach from the thread, in whatever state."""
        interrupted = self._at is None
        if interrupted:
            # The thread runs, perhaps in a waiting call.
            self._thread.interrupt()
        while (
            self._at is None or (interrupted and self._at.call) or self._is_trap_due()
        ):
            if self._at is not None:
                if self._at.call:
                    # The exit stop of the interrupted call: too early to mend the
                    # call, and this stop consumes the interruption (ptrace_stop():
                    # "any trap clears pending STOP trap").
                    self._thread.interrupt()
                self._thread.cont(self._at.signal)
            self._at = self._thread.wait()
        self._mend()
        self._thread.detach(self._at.signal)

    def _is_trap_due(self) -> bool:
        """Whether the trap of a step is pending.

        An interruption is reported before the trap. The trap comes from the step, and
        would end the program if delivered.
        """
        try:
            with open(f"/proc/{self._tid}/status", errors="replace") as file:
                pending = next(line for line in file if line.startswith("SigPnd:"))
        except (OSError, StopIteration):
            return False
        return bool(int(pending.split()[1], 16) >> (signal.SIGTRAP - 1) & 1)

    def _mend(self) -> None:
        """Restart a waiting call that the stop has ended with EINTR.

        A signal handler that runs first still ends the call, as without a tracer.
        """
        stop = self._at
        if stop is None or stop.call or stop.signal or stop.group or stop.is_step:
            return
        registers = self._thread.registers()
        if registers.nr in _NOT_RESTARTED and registers.result == _EINTR:
            registers.result = _RESTARTNOHAND
            self._thread.set_registers(registers)
