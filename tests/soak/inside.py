# SPDX-License-Identifier: GPL-2.0-only
"""The stress itself, in the guest: ``python -m tests.soak.inside SECONDS SEED FILE``.

Prints the figures now and then; writes them as JSON to FILE. Ends with 1 as soon as a
program has computed something wrong, a process has ended that should not have, the
kernel has complained, or nothing is dispatched any more.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.guest.command import arena_used, attached
from tests.guest.foreign.packages import link
from tests.guest.program import ACT, END, Program
from tests.soak.clients import client
from tests.soak.disturb import UPROBED, disturb
from tests.soak.engines import engine
from tests.soak.figures import Counters, Figure, table
from tests.soak.namespace import UNSHARE, inside, only_child
from tests.soak.prepared import DATA, PACKAGE_LIST, PROGRAMS
from tests.soak.regions import Regions
from tests.soak.stuck import describe
from tests.soak.victims import Victim, publish, published
from ubypass.cli.module.files import is_loaded
from ubypass.device.client import Device
from ubypass.lab.logcheck import log_problems
from ubypass.module.loading import finit_module, remove_module
from ubypass.places import module_file

__all__ = ["main"]

#: programs/pages.c: threads, processes, rounds of each. The first ones stay, the others
#: take turns.
_STAYING = ((16, 0, 200), (4, 8, 60))
_TAKING_TURNS = ((4, 200, 20), (1000, 0, 20), (64, 0, 5))
_CLIENTS = 2
#: Slots of others. One client is in a PID namespace.
_ENGINE, _DISTURBER, _OURS, _INSIDE = range(_CLIENTS, _CLIENTS + 4)
_ALL_CLIENTS = (*range(_CLIENTS), _INSIDE)
#: The part of programs that have a PID namespace of their own.
_NAMESPACED = 0.4
_SHAPE_INSIDE = (4, 4, 60)
_BOOSTED = (("spin", str(DATA), "4"), ("storm",))
#: What stress-ng does meanwhile, one after the other.
_STRESS = (
    "--fork 2 --pthread 1 --pthread-max 64",
    "--vm 1 --vm-bytes 30% --mremap 1",
    "--switch 2 --sigq 1",
    "--mmap 1 --mmap-bytes 64M --madvise 1",
    "--timer 1 --itimer 1 --futex 1",
    "--clone 1 --exec 1",
)
_STRESS_OPTIONS = ("--timeout", "0", "--temp-path", "/dev/shm")
#: Seconds, between two looks, and on average between two things that happen.
_LOOK, _PAUSE = 0.2, 5.0
#: Loads after which a client is killed, at most: on a slow machine it lives longer.
_LOADS = 60
#: Clients go first, however many threads there are.
_NICE, _ENGINE_NICE, _PREFIX = -15, 0, ("nice", "-n", "40")
_TOLD = 30.0  # seconds between two reports
# An emulated machine beside others may get a small part of a processor.
_STALLED = 1800.0  # seconds without a call dispatched
_HANG = 1800.0  # for what ends when it is asked to


class Failure(Exception):
    """What must not happen has happened."""


class _Child:
    """A forked process that runs a function until it is killed."""

    def __init__(self, play: Callable[[], None]) -> None:
        self.pid = os.fork()
        if self.pid == 0:
            try:
                play()
            finally:
                os._exit(4)

    def check(self) -> None:
        """Raises Failure if it has ended by itself."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            raise Failure(f"a child has ended by itself, status {status:#x}")

    def kill(self, how: int = signal.SIGKILL) -> None:
        """Returns once it has ended; says where it is meanwhile if that takes long.

        Raises Failure if it does not end.
        """
        os.kill(self.pid, how)
        told = begun = time.monotonic()
        while not os.waitpid(self.pid, os.WNOHANG)[0]:
            now = time.monotonic()
            if now - told > _TOLD:
                told = now
                print(f"soak: for {now - begun:.0f} s does not end:", flush=True)
                print(describe(self.pid), flush=True)
            if now - begun > _HANG:
                raise Failure("a child does not end")
            time.sleep(0.01)


class _Soak:
    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._chance = random.Random(seed)
        self._counters = Counters()
        self._started = 0
        self._victims: dict[Program, tuple[int, ...]] = {}  # and their shapes
        self._namespaced: set[Program] = set()
        self._boosted: list[Program] = []
        self._clients: dict[int, _Child] = {}  # by slot
        self._lives: dict[int, int] = {}  # of clients: loads until they are killed
        self._disturber: _Child | None = None
        self._stress: subprocess.Popen[bytes] | None = None
        self._released = os.open(module_file(os.uname().release), os.O_RDONLY)
        self._uprobes = [*_places(UPROBED)]
        with Device() as device:
            self._regions = Regions.of(device.info())

    def run(self, seconds: float, tell: Callable[[float, Counters], None]) -> None:
        """All of it. Raises Failure."""
        for shape in (*_STAYING, self._chance.choice(_TAKING_TURNS)):
            self._start_victim(*shape)
        for command in _BOOSTED:
            program = Program(*command, prefix=_PREFIX)
            program.stage(ACT)
            self._boosted.append(program)
        _wait("no program starts", lambda: any(each.is_warm for each in self._victims))
        self._publish()
        for slot in (*_ALL_CLIENTS, _ENGINE):
            self._start_client(slot)
        self._disturber = _Child(
            lambda: disturb(
                f"{self._seed}-disturber",
                published,
                self._counters,
                _DISTURBER,
                self._uprobes,
            )
        )
        self._until(time.monotonic() + seconds, tell)
        self._end()

    @property
    def counters(self) -> Counters:
        """The figures."""
        return self._counters

    def _until(self, end: float, tell: Callable[[float, Counters], None]) -> None:
        began = told = progressed = time.monotonic()
        dispatched = 0
        things: list[tuple[int, Callable[[], None]]] = [
            (10, self._kill_victim),
            (5, self._change_stress),
            (4, self._kill_client),
            (2, self._kill_engine),
            (1, self._reload),
        ]
        weights = [weight for weight, _ in things]
        while (now := time.monotonic()) < end:
            time.sleep(_LOOK)
            self._check()
            self._kill_due()
            if self._chance.random() < _LOOK / _PAUSE:
                (_, thing), *_ = self._chance.choices(things, weights)
                thing()
            if self._counters.totals()[Figure.DISPATCHED] > dispatched:
                dispatched = self._counters.totals()[Figure.DISPATCHED]
                progressed = now
            if now - progressed > _STALLED:
                raise Failure(f"nothing is dispatched for {_STALLED:g} seconds")
            if now - told > _TOLD:
                told = now
                tell(now - began, self._counters)
                _check_log()
        tell(time.monotonic() - began, self._counters)

    def _count(self, figure: Figure) -> None:
        self._counters.add(_OURS, figure)

    def _start_victim(self, *shape: int) -> None:
        words = map(str, shape)
        own = self._chance.random() < _NAMESPACED
        prefix = (*_PREFIX, *UNSHARE) if own else _PREFIX
        program = Program("pages", *words, prefix=prefix, home=PROGRAMS)
        if own:
            self._namespaced.add(program)
            self._count(Figure.NAMESPACES)
        self._victims[program] = shape
        self._publish()

    def _publish(self) -> None:
        """Only those that are ready for what is done to them."""
        ready: list[Victim] = []
        for program, shape in self._victims.items():
            if program.is_warm:
                with contextlib.suppress(OSError):  # it is found to have ended later
                    ready.append(Victim(self._pid(program), shape[0]))
        publish(ready)

    def _pid(self, program: Program) -> int:
        """Of the program, not of what has made its namespace."""
        return only_child(program.pid) if program in self._namespaced else program.pid

    def _start_client(self, slot: int) -> None:
        self._started += 1
        seed = f"{self._seed}-{self._started}"
        if slot == _ENGINE:
            pids = [program.pid for program in self._boosted]
            play = partial(_play_engine, pids, self._counters, slot)
        elif slot == _INSIDE:
            play = partial(_play_inside, seed, self._regions, self._counters, slot)
            self._count(Figure.NAMESPACES)
        else:
            play = partial(client, seed, published, self._regions, self._counters, slot)
        self._clients[slot] = _Child(play)

    def _kill(self, slot: int) -> None:
        self._clients.pop(slot).kill()
        self._count(Figure.CLIENTS_KILLED)

    def _kill_due(self) -> None:
        for slot, loads in list(self._lives.items()):
            if self._counters.of(slot, Figure.LOADED) >= loads:
                self._kill_client(slot)

    def _kill_client(self, slot: int | None = None) -> None:
        if slot is None:
            slot = self._chance.choice(_ALL_CLIENTS)
        self._kill(slot)
        self._start_client(slot)

    def _kill_engine(self) -> None:
        self._kill(_ENGINE)
        self._start_client(_ENGINE)

    def _kill_victim(self) -> None:
        program = self._chance.choice(list(self._victims))
        shape = self._victims.pop(program)
        program.close()
        self._namespaced.discard(program)
        self._count(Figure.PROGRAMS_KILLED)
        if shape not in _STAYING:
            shape = self._chance.choice(_TAKING_TURNS)
        self._start_victim(*shape)

    def _reload(self) -> None:
        """Unload the module from under boosted programs, as soon as it can be."""
        for slot in list(self._clients):
            self._kill(slot)
        self._unload()
        finit_module(self._released)
        self._count(Figure.RELOADED)
        for slot in (*_ALL_CLIENTS, _ENGINE):
            self._start_client(slot)

    def _unload(self) -> None:
        _wait("the module cannot be unloaded", lambda: remove_module(b"ub"))

    def _change_stress(self) -> None:
        if self._stress is not None:
            self._stress.terminate()
            self._stress.wait()
        words = self._chance.choice(_STRESS).split()
        self._stress = subprocess.Popen(
            [*_PREFIX, "stress-ng", *words, *_STRESS_OPTIONS],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _check(self) -> None:
        self._publish()
        for program in (*self._victims, *self._boosted):
            if program.ended:
                raise Failure(f"a program has ended: {_shown(program)}")
        for child in (*self._clients.values(), self._disturber):
            if child is not None:
                child.check()

    def _end(self) -> None:
        """Let all of it come to its end; raises Failure for what is not as it was."""
        print("soak: all programs are to end", flush=True)
        if self._disturber is not None:
            self._disturber.kill(signal.SIGTERM)
        if self._stress is not None:
            self._stress.terminate()
            self._stress.wait()
        print("soak: nobody disturbs any more", flush=True)
        self._kill(_ENGINE)
        programs = [*self._victims, *self._boosted]
        for program in programs:
            with contextlib.suppress(OSError):  # it has hardly begun
                os.kill(self._pid(program), signal.SIGCONT)
            program.stage(END)
        time.sleep(_PAUSE)
        for slot in list(self._clients):
            self._kill(slot)
        print("soak: nobody boosts any more", flush=True)
        _wait("a program does not end", lambda: all(each.ended for each in programs))
        for program in programs:
            outcome = program.outcome()
            text = " ".join(map(str, outcome["output"]))  # type: ignore[call-overload]
            if outcome["status"] != 0 or "wrong 0" not in text:
                raise Failure(f"a program is wrong: {_shown(program)}")
            program.close()
        _wait("something stays attached", lambda: attached() == 0)
        _wait("code stays in the arena", lambda: arena_used() == 0)
        self._unload()
        _check_log()


def _play_engine(pids: list[int], counters: Counters, slot: int) -> None:
    os.setpriority(os.PRIO_PROCESS, 0, _ENGINE_NICE)
    engine(lambda: pids, counters, slot)


def _play_inside(seed: str, regions: Regions, counters: Counters, slot: int) -> None:
    """A client and its program, with numbers that mean others outside."""

    def play() -> None:
        words = map(str, _SHAPE_INSIDE)
        with Program("pages", *words, prefix=_PREFIX, home=PROGRAMS) as program:
            while not program.is_warm:
                time.sleep(_LOOK)
            victims = [Victim(program.pid, _SHAPE_INSIDE[0])]
            client(seed, lambda: victims, regions, counters, slot)

    inside(play)


def _shown(program: Program) -> str:
    return f"{program.outcome()} {program.said()[-5:]}"


def _wait(what: str, done: Callable[[], bool]) -> None:
    """Raises Failure."""
    deadline = time.monotonic() + _HANG
    while not done():
        if time.monotonic() > deadline:
            raise Failure(what)
        time.sleep(0.05)


def _check_log() -> None:
    log = subprocess.run(["dmesg", "-r"], capture_output=True, check=True).stdout
    problems = log_problems(log.decode(errors="replace"), "soak: begins")
    if problems:
        raise Failure(f"the kernel complains: {problems[0]}")


def _places(names: tuple[str, ...]) -> Iterator[str]:
    """FILE:OFFSET of functions of the C library."""
    library = Path("/lib/x86_64-linux-gnu/libc.so.6").resolve()
    text = subprocess.run(
        ["nm", "-D", library], capture_output=True, text=True, check=True
    ).stdout
    for row in text.splitlines():
        address, _, name = row.rpartition(" ")
        if name.partition("@")[0] in names:
            yield f"{library}:{int(address.split()[0], 16):#x}"


def main() -> int:
    """Run it; 0 if all was right."""
    seconds, seed, file = float(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    Path("/dev/kmsg").write_text("soak: begins")
    os.setpriority(os.PRIO_PROCESS, 0, _NICE)
    DATA.write_bytes(random.Random(1).randbytes(1 << 20))
    link(map(Path, PACKAGE_LIST.read_text().splitlines()))
    if not is_loaded():
        finit_module(os.open(module_file(os.uname().release), os.O_RDONLY))

    def tell(elapsed: float, counters: Counters) -> None:
        totals = counters.totals()
        print(
            f"soak: {elapsed:.0f} s: {totals[Figure.DISPATCHED]:,} calls dispatched, "
            f"{totals[Figure.FAULTS]:,} faults, {totals[Figure.LOADED]:,} loads, "
            f"{totals[Figure.INVALIDATED]:,} invalidations, "
            f"{totals[Figure.CLIENTS_KILLED]:,} clients killed",
            flush=True,
        )

    # Where it hangs, if it does.
    faulthandler.dump_traceback_later(seconds + _HANG / 6, repeat=True)
    soak = _Soak(seed)
    began, failed = time.monotonic(), ""
    try:
        soak.run(seconds, tell)
    except Failure as failure:
        failed = str(failure)
    elapsed = time.monotonic() - began
    totals = soak.counters.totals()
    print("\n".join(table(totals, elapsed)))
    found = {figure.name.lower(): count for figure, count in totals.items()}
    file.write_text(
        json.dumps({"seconds": elapsed, "seed": seed, "failed": failed, **found})
    )
    if failed:
        print(f"soak: FAILED: {failed}", flush=True)
    with contextlib.suppress(OSError):
        os.sync()
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
