# SPDX-License-Identifier: GPL-2.0-only
"""Measure loops of one system call natively, boosted and at the limit, in one boot.

The three ways follow one another for each loop, so that they share whatever
state the machine is in. While the native way and the limit are measured nothing
is attached, so nothing is hooked.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ubypass.bench import gap, handler
from ubypass.bench.loop import Loop, LoopResult, Workload
from ubypass.bench.records import BOOSTED, Machine, Record
from ubypass.bench.transition import measure_transition
from ubypass.bench.workloads import build_workload
from ubypass.device.client import Device
from ubypass.device.types import Stats
from ubypass.engine.build import Builder
from ubypass.engine.engine import Engine
from ubypass.engine.explain import decision
from ubypass.engine.target import Target
from ubypass.errors import UbError
from ubypass.process.status import identify

__all__ = [
    "DISK",
    "DISK_QUICK",
    "QUICK",
    "WORKLOADS",
    "Place",
    "Plan",
    "calls_per_round",
    "data_file",
    "measure",
    "measure_all",
]

_GETPPID = 110
_PREAD64 = 17
_SIZES = (1, 64, 256, 1024, 4096)

WORKLOADS: tuple[Workload, ...] = (
    Workload("getppid", _GETPPID),
    *(Workload("pread", _PREAD64, size) for size in _SIZES),
    *(Workload("pread", _PREAD64, size, sum=True) for size in _SIZES),
)
QUICK: tuple[Workload, ...] = (
    WORKLOADS[0],
    Workload("pread", _PREAD64, 64),
    Workload("pread", _PREAD64, 64, sum=True),
)
#: On a disk: what is in memory anyway, and what has to be fetched.
DISK: tuple[Workload, ...] = tuple(
    Workload("pread", _PREAD64, size, sum=add, cold=cold)
    for cold in (False, True)
    for add in (False, True)
    for size in (64, 1024, 4096)
)
DISK_QUICK: tuple[Workload, ...] = (
    Workload("pread", _PREAD64, 64),
    Workload("pread", _PREAD64, 1024, cold=True),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to measure.

    ``round_instructions``: about how many one round takes. ``rounds``: their number;
    medians are taken. ``looks`` at the counters after which a loop that does not
    become steady is measured as it is, ``look`` seconds or more apart. Looks and not
    seconds: while the engine waits for the host (a file over 9p), a guest's clock
    goes on with the loop.
    """

    round_instructions: int = 16_000_000
    rounds: int = 5
    looks: int = 160
    look: float = 0.05

    #: Share of dispatched calls between two looks that counts as steady.
    steady_rate: float = 0.99
    #: Looks in a row that must be steady, with the same translation.
    steady_looks: int = 3


@dataclass(frozen=True, slots=True)
class Place:
    """Where files are that are read: in memory, or in a directory on a disk.

    ``transition``: what an empty call costs besides its handler, for cold loops.
    """

    directory: Path = Path("/dev/shm")
    transition: float = 0.0

    def name(self, workload: Workload) -> str:
        """As records call it."""
        if self.directory == Path("/dev/shm"):
            return "memory"
        return "cold" if workload.cold else "cached"


def calls_per_round(workload: Workload, plan: Plan) -> int:
    """How many turns of the loop make a round of the planned length."""
    # Rough costs of a turn (docs: measuring): the call, the copy, the sum.
    turn = 350 + (1100 + workload.size if workload.size else 0)
    if workload.sum:
        turn += workload.size // 2
    return max(1000, plan.round_instructions // turn)


def measure_all(
    workloads: Sequence[Workload],
    machine: Machine,
    plan: Plan | None = None,
    progress: Callable[[str], None] = lambda step: None,
    disk: Path | None = None,
) -> Iterator[Record]:
    """Measure ``workloads`` one after another; each record as soon as it is there.

    Needs root, both modules, and a tmpfs at /dev/shm unless ``disk`` is a directory
    for the files that are read. ``progress`` is told what is being done. Raises
    UbError.
    """
    plan = plan or Plan()
    # Before anything is attached, since afterwards calls are hooked for a while.
    transition = measure_transition(machine) if disk else 0.0
    with (
        Device() as device,
        contextlib.closing(
            Engine(device, build=Builder(device.info()), log=progress)
        ) as engine,
    ):
        for workload in workloads:
            place = Place(disk, transition) if disk else Place()
            yield measure(workload, machine, engine, plan, progress, place)


def measure(
    workload: Workload,
    machine: Machine,
    engine: Engine,
    plan: Plan,
    progress: Callable[[str], None] = lambda step: None,
    place: Place | None = None,
) -> Record:
    """Measure one loop in every way, on a file in ``place`` (default: in memory)."""
    count = calls_per_round(workload, plan)
    place = place or Place()
    # So long that no measured round meets its end.
    with data_file(workload.size * count, place.directory) as file:
        arguments = [
            *workload.arguments(file),
            *("--count", str(count), "--rounds", str(plan.rounds)),
        ]
        program = build_workload("ioloop")
        progress(f"{workload}: native")
        native = _run_native(program, arguments)
        progress(f"{workload}: limit")
        user_code = _measure_gap(program, arguments, workload, machine)
        if workload.cold:
            # In a loop in the kernel, waiting for the disk would count as well.
            in_kernel = native.median - user_code - place.transition
        else:
            in_kernel = _run_handler(workload, file, count, plan.rounds)
        progress(f"{workload}: boosted")
        boosted, run = _run_boosted(program, arguments, engine, plan, workload.nr)
    return Record(
        workload=workload.name,
        size=workload.size,
        sum=workload.sum,
        native=native.median,
        boosted=boosted.median,
        handler=in_kernel,
        gap=user_code,
        bypass_rate=run.share,
        first_boost_s=run.first_boost_s,
        same_results=native.checksum == boosted.checksum,
        machine=machine,
        place=place.name(workload),
        why_not=() if run.share >= BOOSTED else run.decisions,
    )


@contextlib.contextmanager
def data_file(size: int, directory: Path) -> Iterator[Path | None]:
    """A file of at least ``size`` bytes; None if nothing is going to be read."""
    if not size:
        yield None
        return
    chunk = random.Random(size).randbytes(1 << 16)
    with tempfile.NamedTemporaryFile(dir=directory, prefix="ubypass-") as file:
        try:
            for _ in range(size // len(chunk) + 1):
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())  # only clean pages can be dropped
        except OSError as error:
            raise UbError(f"cannot make a test file in {directory}: {error}") from error
        yield Path(file.name)


def _run_native(program: Path, arguments: list[str]) -> LoopResult:
    with Loop(program, arguments) as loop:
        loop.warm()
        loop.ready()
        return loop.measure()


def _run_handler(
    workload: Workload, file: Path | None, count: int, rounds: int
) -> float:
    """Nanoseconds that the handler takes by itself; median of rounds."""
    if file is None:
        runs = [handler.run(workload.nr, (), count) for _ in range(rounds)]
    else:
        # Anonymous memory of our own, touched: the copy must not fault.
        buffer = mmap.mmap(-1, max(workload.size, mmap.PAGESIZE))
        buffer[:] = b"\1" * len(buffer)
        view = ctypes.c_char.from_buffer(buffer)
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            runs = [
                handler.run(
                    workload.nr,
                    (fd, ctypes.addressof(view), workload.size, 0),
                    count,
                    advance_arg=3,
                    advance=workload.size,
                    wrap=workload.size * (count - 1),
                )
                for _ in range(rounds)
            ]
        finally:
            os.close(fd)
            del view
            buffer.close()
        if any(run.sum != workload.size * count for run in runs):
            raise UbError(f"{workload}: the handler read too little in the kernel")
    return sorted(run.handler for run in runs)[len(runs) // 2]


def _measure_gap(
    program: Path, arguments: list[str], workload: Workload, machine: Machine
) -> float:
    """The user code of one turn, in the machine's unit.

    Where the clock counts instructions, so do we, by stepping through a few turns.
    Elsewhere it is the time of the same loop with an empty function in the place
    of the call, which lacks libc's few instructions around the syscall.
    """
    if machine.unit == "instructions":
        gapcount = build_workload("gapcount")
        return gap.count_gap(gapcount, [str(program), *arguments], workload.nr)
    return _run_native(program, [*arguments, "--dry"]).median


@dataclass(frozen=True, slots=True)
class _Boosted:
    """What became of a loop's calls: ``share`` dispatched in the measured rounds,
    seconds to the first dispatch of all, and what the engine has decided, for people.
    """

    share: float
    first_boost_s: float | None
    decisions: tuple[str, ...]


def _run_boosted(
    program: Path, arguments: list[str], engine: Engine, plan: Plan, nr: int
) -> tuple[LoopResult, _Boosted]:
    """Attach the loop around system call ``nr``, wait until it is steady, measure."""
    with Loop(program, arguments) as loop:
        target = engine.attach(identify(loop.pid), started_ns=loop.started_ns)
        engine.watch_end(target)
        _warm_up(loop, target, engine, plan)
        loop.warm()
        _step_until_output(loop, engine)
        loop.ready()
        before = target.refresh_stats()
        # The engine sleeps meanwhile: on one processor it would be measured, too.
        result = loop.measure()
        after = target.refresh_stats()
        run = _Boosted(
            _share(before, after),
            target.summary().first_boost_seconds,
            _decisions(target, nr),
        )
    engine.run(lambda: target not in engine.targets)
    return result, run


def _decisions(target: Target, nr: int) -> tuple[str, ...]:
    sites = target.refresh_sites().values()
    about = [decision(target, site) for site in sites if site.nr == nr]
    return tuple(dict.fromkeys((*about, *target.summary().notes)))


def _warm_up(loop: Loop, target: Target, engine: Engine, plan: Plan) -> None:
    """Run the engine until the loop is steadily boosted, or has had its looks."""
    before = target.refresh_stats()
    loads, steady = 0, 0
    for _ in range(plan.looks):
        if steady >= plan.steady_looks:
            break
        look = time.monotonic() + plan.look
        while (left := look - time.monotonic()) > 0:
            engine.step(left)
        if loop.ended:
            raise UbError("the workload ended while it was being boosted")
        after = target.refresh_stats()
        now_loads = target.summary().loads
        good = now_loads == loads and _share(before, after) >= plan.steady_rate
        steady = steady + 1 if good else 0
        before, loads = after, now_loads


def _step_until_output(loop: Loop, engine: Engine) -> None:
    spoken = False

    def heard() -> None:
        nonlocal spoken
        spoken = True

    engine.watch(loop.output, heard)
    try:
        engine.run(lambda: spoken)
    finally:
        engine.unwatch(loop.output)


def _share(before: Stats, after: Stats) -> float:
    dispatched = after.dispatched - before.dispatched
    calls = dispatched + after.native - before.native
    return dispatched / calls if calls else 0.0
