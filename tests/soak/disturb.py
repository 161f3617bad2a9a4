# SPDX-License-Identifier: GPL-2.0-only
"""What disturbs boosted programs from outside: one thing after the other, at random."""

from __future__ import annotations

import contextlib
import mmap
import os
import random
import signal
import subprocess
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from tests.soak.clients import FAILED
from tests.soak.exhaust import exhaust
from tests.soak.figures import Counters, Figure
from tests.soak.regions import LOOP, PAGE, PAGES
from tests.soak.victims import Victim, choose
from ubypass.process.status import descendants

__all__ = ["UPROBED", "disturb", "stop", "tell"]

#: Functions of the C library that get uprobes.
UPROBED = ("getppid", "pread64", "write", "read")

_CPU = Path("/sys/devices/system/cpu/cpu1/online")
_TRACING = Path("/sys/kernel/tracing")
_INT3 = b"\xcc"
_AGAIN = 1.0  # seconds until a tracer is told again to let go
_EXHAUSTED = 4  # processes that get no memory at a time
_SPARE = 500 << 20  # bytes of memory that are left when it is made scarce


class _Disturber:
    def __init__(
        self,
        victims: Callable[[], list[Victim]],
        count: Callable[[Figure], None],
        uprobes: list[str],
    ) -> None:
        self._victims = victims
        self._count = count
        self._uprobes = uprobes
        self.ended = False

    def play(self, chance: random.Random) -> None:
        """Do one thing after the other, until this process is told to end."""
        things: list[tuple[int, Callable[[random.Random], None]]] = [
            (40, self._move),
            (40, self._signal),
            (30, self._break),
            (12, self._read),
            (10, self._forget),
            (6, self._stop),
            (4, self._hotplug),
            (4, self._probe),
            (3, self._trace),
            (2, self._strace),
            (1, self._press),
            (1, self._exhaust),
        ]
        weights = [weight for weight, _ in things]
        while not self.ended:
            (_, thing), *_ = chance.choices(things, weights)
            # Whom it is about may have ended; and others do the same.
            with contextlib.suppress(OSError):
                thing(chance)
            time.sleep(chance.expovariate(30.0))

    def _pid(self, chance: random.Random) -> int:
        return choose(self._victims(), chance).pid

    def _thread(self, chance: random.Random) -> int:
        return int(chance.choice(os.listdir(f"/proc/{self._pid(chance)}/task")))

    def _move(self, chance: random.Random) -> None:
        for _ in range(10):
            mask = chance.choice(({0}, {1}, {0, 1}))
            os.sched_setaffinity(self._thread(chance), mask)
            self._count(Figure.MOVES)

    def _signal(self, chance: random.Random) -> None:
        pid = self._pid(chance)
        for _ in range(chance.randrange(1, 20)):
            os.kill(pid, signal.SIGUSR1)
            self._count(Figure.SIGNALS)

    def _stop(self, chance: random.Random) -> None:
        pid = self._pid(chance)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(chance.random() / 20)
        os.kill(pid, signal.SIGCONT)
        self._count(Figure.SIGNALS)

    def _break(self, chance: random.Random) -> None:
        """As a debugger does, at the first instruction of a loop, and not for long."""
        victim = choose(self._victims(), chance)
        at = PAGES + chance.randrange(victim.pages) * PAGE + LOOP
        memory = os.open(f"/proc/{victim.pid}/mem", os.O_RDWR | os.O_CLOEXEC)
        try:
            before = os.pread(memory, 1, at)
            if before == b"\xb8":  # mov eax, imm32
                os.pwrite(memory, _INT3, at)
                time.sleep(chance.random() / 100)
                os.pwrite(memory, before, at)
                self._count(Figure.BREAKPOINTS)
        finally:
            os.close(memory)

    def _read(self, chance: random.Random) -> None:
        """Takes the lock of the address space, and walks its page tables."""
        name = chance.choice(("maps", "smaps_rollup", "numa_maps", "stack", "syscall"))
        with contextlib.suppress(UnicodeDecodeError):
            Path(f"/proc/{self._pid(chance)}/{name}").read_text()
        self._count(Figure.OTHER)

    def _forget(self, chance: random.Random) -> None:
        """Page table entries change, so regions die."""
        what = chance.choice(("1", "4"))
        Path(f"/proc/{self._pid(chance)}/clear_refs").write_text(what)
        self._count(Figure.OTHER)

    def _hotplug(self, chance: random.Random) -> None:
        _CPU.write_text("0")
        try:
            time.sleep(chance.random() / 2)
        finally:
            _CPU.write_text("1")
        self._count(Figure.HOTPLUGS)

    def _probe(self, chance: random.Random) -> None:
        """Uprobes in the C library, which each program has."""
        events = _TRACING / "uprobe_events"
        name = f"soak{os.getpid()}"
        tell(events, f"p:{name}/one {chance.choice(self._uprobes)}", os.O_APPEND)
        switch = _TRACING / "events" / name / "one" / "enable"
        try:
            tell(switch, "1")
            time.sleep(chance.random() / 10)
            tell(switch, "0")
            self._count(Figure.UPROBES)
        finally:
            tell(events, f"-:{name}/one", os.O_APPEND)

    def _trace(self, chance: random.Random) -> None:
        """Tracepoints of system calls, or a tracer of their handlers."""
        if chance.random() < 0.5:
            switch, on, off = _TRACING / "events/raw_syscalls/enable", "1", "0"
        else:
            functions = _TRACING / "set_ftrace_filter"
            # A handler without arguments has several names, of which ftrace knows one.
            tell(functions, "*_sys_gettid __x64_sys_pread64", os.O_TRUNC)
            switch, on, off = _TRACING / "current_tracer", "function", "nop"
        tell(switch, on)
        try:
            time.sleep(chance.random() / 5)
        finally:
            tell(switch, off)
        self._count(Figure.TRACED)

    def _strace(self, chance: random.Random) -> None:
        """Of one thread: to let go of a thousand that hardly run takes minutes."""
        tracer = subprocess.Popen(
            ["strace", "-o", os.devnull, "-p", str(self._thread(chance))],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(chance.random() * 2)
        stop(tracer)
        self._count(Figure.TRACED)

    def _press(self, chance: random.Random) -> None:
        """Little memory is left, so pages of programs are reclaimed; and compaction."""
        rows = Path("/proc/meminfo").read_text().splitlines()
        (free,) = (int(row.split()[1]) for row in rows if row.startswith("MemAvail"))
        size = (free << 10) - _SPARE
        if size > 0:
            flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE
            with mmap.mmap(-1, size, flags=flags):
                Path("/proc/sys/vm/compact_memory").write_text("1")
                time.sleep(chance.random())
        self._count(Figure.PRESSED)

    def _exhaust(self, chance: random.Random) -> None:
        """The OOM killer ends children of a program, which starts others."""
        pid = self._pid(chance)
        children = descendants(pid)
        chosen = chance.sample(children, min(len(children), _EXHAUSTED))
        killed = exhaust(chosen, chance.random() * 2)
        for _ in range(killed):
            self._count(Figure.EXHAUSTED)


def tell(file: Path, text: str, how: int = 0) -> None:
    """Write to a file of tracefs: at once, and without a seek, which these refuse.

    ``how``: more flags of open(), for example ``O_APPEND``. Raises OSError.
    """
    descriptor = os.open(file, os.O_WRONLY | os.O_CLOEXEC | how)
    try:
        os.write(descriptor, f"{text}\n".encode())
    finally:
        os.close(descriptor)


def stop(tracer: subprocess.Popen[bytes], each: float = _AGAIN) -> None:
    """Have ``tracer`` let go by SIGINT; returns once it has ended.

    Programs of the guest start with SIGINT ignored, and on a busy machine a tracer may
    not have set its handler yet when it is told: so it is sent every ``each`` seconds.
    """
    while tracer.poll() is None:
        tracer.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            tracer.wait(each)


def disturb(
    seed: str,
    victims: Callable[[], list[Victim]],
    counters: Counters,
    slot: int,
    uprobes: list[str],
) -> None:
    """Play until SIGTERM; then nothing is left. ``uprobes``: FILE:OFFSET of functions.

    Only one process may do so: what it changes belongs to the whole machine.
    """
    one = _Disturber(victims, lambda figure: counters.add(slot, figure), uprobes)

    def end(number: int, frame: object) -> None:
        one.ended = True

    signal.signal(signal.SIGTERM, end)
    try:
        one.play(random.Random(seed))
    except BaseException:
        traceback.print_exc()
        os._exit(FAILED)
