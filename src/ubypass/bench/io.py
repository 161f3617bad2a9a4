# SPDX-License-Identifier: GPL-2.0-only
"""Measure loops of one system call: native, boosted and at the limit, in one boot.

Each loop is measured in all three ways before the next one, so that the state of the
machine is about the same. Nothing is attached, and so nothing hooked, while the native
loop and the limit are measured.
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
from dataclasses import dataclass, replace
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
    "AS_PAPER",
    "DISK",
    "DISK_QUICK",
    "PREAD64",
    "QUICK",
    "WORKLOADS",
    "Place",
    "Plan",
    "calls_per_round",
    "data_file",
    "decisions",
    "measure",
    "measure_all",
    "measure_native",
    "of_sizes",
    "read_of",
    "share",
    "warm_up",
]

_GETPPID = 110

#: Number of the system call pread64.
PREAD64 = 17
_SIZES = (1, 64, 256, 1024, 4096)

WORKLOADS: tuple[Workload, ...] = (
    Workload("getppid", _GETPPID),
    *(Workload("pread", PREAD64, size) for size in _SIZES),
    *(Workload("pread", PREAD64, size, sum=True) for size in _SIZES),
)
QUICK: tuple[Workload, ...] = (
    WORKLOADS[0],
    Workload("pread", PREAD64, 64),
    Workload("pread", PREAD64, 64, sum=True),
)
#: Loops on a disk, with cached and with uncached pages.
DISK: tuple[Workload, ...] = tuple(
    Workload("pread", PREAD64, size, sum=add, cold=cold)
    for cold in (False, True)
    for add in (False, True)
    for size in (64, 1024, 4096)
)
DISK_QUICK: tuple[Workload, ...] = (
    Workload("pread", PREAD64, 64),
    Workload("pread", PREAD64, 1024, cold=True),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """The extent of a measurement.

    ``round_instructions``: approximate length of a round. ``rounds``: their number; the
    median counts, or with ``means`` the mean and the standard deviation. ``looks``:
    number of looks at the counters after which a loop that is not steady is measured
    anyway; ``look``: least seconds between two looks. The limit is not in seconds,
    because a guest's clock runs on while the engine waits for the host (a file over
    9p).
    """

    round_instructions: int = 16_000_000
    rounds: int = 5
    means: bool = False
    looks: int = 160
    look: float = 0.05

    #: Share of calls dispatched between two looks from which on a loop counts as
    #: steady.
    steady_rate: float = 0.99
    #: Number of consecutive steady looks with the same translation.
    steady_looks: int = 3


#: As in the paper on Userspace Bypass: one run in which the loop becomes boosted, then
#: ten measured ones, of which the mean counts.
AS_PAPER = Plan(rounds=10, means=True)


@dataclass(frozen=True, slots=True)
class Place:
    """The directory of the files to read: in memory, or on a disk.

    ``transition``: cost of an empty call besides its handler, for cold loops.
    """

    directory: Path = Path("/dev/shm")
    transition: float = 0.0

    def name(self, workload: Workload) -> str:
        """The name of the place in records."""
        if self.directory == Path("/dev/shm"):
            return "memory"
        return "cold" if workload.cold else "cached"


def read_of(size: int) -> Workload:
    """The loop that reads ``size`` bytes per call and discards them."""
    return Workload("pread", PREAD64, size)


def of_sizes(
    workloads: Sequence[Workload], sizes: Sequence[int]
) -> tuple[Workload, ...]:
    """The reads among ``workloads``, each kind in all ``sizes`` (bytes per call)."""
    kinds = dict.fromkeys(replace(each, size=0) for each in workloads if each.size)
    return tuple(replace(kind, size=size) for kind in kinds for size in sizes)


def calls_per_round(workload: Workload, plan: Plan) -> int:
    """Number of loop turns in a round of the planned length."""
    # Approximate instructions of a turn (docs: measuring): the call, the copy, the sum.
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
    """Measure ``workloads`` one after another; yields each record at once.

    Needs root, both modules, and a tmpfs at /dev/shm unless ``disk`` is a directory for
    the files to read. ``progress`` takes a phrase for each step. Raises UbError.
    """
    plan = plan or Plan()
    # Before anything is attached: calls stay hooked for a while after that.
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
    place = place or Place()
    with _prepared(workload, plan, place) as (program, arguments, file):
        count = calls_per_round(workload, plan)
        progress(f"{workload}: native")
        native = _run_native(program, arguments)
        progress(f"{workload}: limit")
        user_code = _measure_gap(program, arguments, workload, machine)
        if workload.cold:
            # A loop in the kernel would include the time of waiting for the disk.
            in_kernel = native.median - user_code - place.transition
        else:
            in_kernel = _run_handler(workload, file, count, plan.rounds)
        progress(f"{workload}: boosted")
        boosted, run = _run_boosted(program, arguments, engine, plan, workload.nr)
    means = plan.means
    return Record(
        workload=workload.name,
        size=workload.size,
        sum=workload.sum,
        native=native.mean if means else native.median,
        boosted=boosted.mean if means else boosted.median,
        handler=in_kernel,
        gap=user_code,
        bypass_rate=run.share,
        first_boost_s=run.first_boost_s,
        same_results=native.checksum == boosted.checksum,
        machine=machine,
        place=place.name(workload),
        why_not=() if run.share >= BOOSTED else run.decisions,
        deviations=(native.deviation, boosted.deviation) if means else None,
    )


def measure_native(
    workload: Workload, machine: Machine, plan: Plan, place: Place
) -> float:
    """The cost of a turn, natively; needs neither root nor a module.

    In the machine's unit; in ns the CPU time counts. Raises UbError.
    """
    clock = [] if machine.unit == "instructions" else ["--cpu"]
    with _prepared(workload, plan, place) as (program, arguments, _):
        return _run_native(program, [*arguments, *clock]).median


@contextlib.contextmanager
def _prepared(
    workload: Workload, plan: Plan, place: Place
) -> Iterator[tuple[Path, list[str], Path | None]]:
    """The program, its arguments, and the file, which no round reads to the end."""
    count = calls_per_round(workload, plan)
    with data_file(workload.size * count, place.directory) as file:
        arguments = [
            *workload.arguments(file),
            *("--count", str(count), "--rounds", str(plan.rounds)),
        ]
        yield build_workload("ioloop"), arguments, file


@contextlib.contextmanager
def data_file(size: int, directory: Path) -> Iterator[Path | None]:
    """A file of at least ``size`` bytes; None if ``size`` is 0."""
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
            raise UbError(
                f"cannot create a test file in {directory}: {error}"
            ) from error
        yield Path(file.name)


def _run_native(program: Path, arguments: list[str]) -> LoopResult:
    with Loop(program, arguments) as loop:
        loop.warm()
        loop.ready()
        return loop.measure()


def _run_handler(
    workload: Workload, file: Path | None, count: int, rounds: int
) -> float:
    """ns of the handler alone, the median of ``rounds``."""
    if file is None:
        runs = [handler.run(workload.nr, (), count) for _ in range(rounds)]
    else:
        # Anonymous memory, touched before: the copy must not fault.
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
    """The cost of the user code of one turn, in the machine's unit.

    Where the clock counts instructions, the instructions of a few single-stepped turns.
    Elsewhere the time of the same loop with an empty function in place of the call,
    without libc's few instructions around the syscall.
    """
    if machine.unit == "instructions":
        gapcount = build_workload("gapcount")
        return gap.count_gap(gapcount, [str(program), *arguments], workload.nr)
    return _run_native(program, [*arguments, "--dry"]).median


@dataclass(frozen=True, slots=True)
class _Boosted:
    """The result of boosting a loop.

    ``share`` of calls dispatched in the measured rounds; ``first_boost_s``: seconds to
    the first dispatch; ``decisions`` of the engine, for people.
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
        warm_up(lambda: loop.ended, target, engine, plan)
        loop.warm()
        _step_until_output(loop, engine)
        loop.ready()
        before = target.refresh_stats()
        # The engine sleeps meanwhile: on one processor its work would be measured, too.
        result = loop.measure()
        after = target.refresh_stats()
        run = _Boosted(
            share(before, after),
            target.summary().first_boost_seconds,
            decisions(target, nr),
        )
    engine.run(lambda: target not in engine.targets)
    return result, run


def decisions(target: Target, nr: int) -> tuple[str, ...]:
    """The engine's decisions on call ``nr``, and its notes; for people."""
    sites = target.refresh_sites().values()
    about = [decision(target, site) for site in sites if site.nr == nr]
    return tuple(dict.fromkeys((*about, *target.summary().notes)))


def warm_up(
    ended: Callable[[], bool], target: Target, engine: Engine, plan: Plan
) -> None:
    """Run the engine until a loop is steadily boosted, or for ``plan.looks`` looks.

    Raises UbError if the loop ends before (``ended``).
    """
    before = target.refresh_stats()
    loads, steady = 0, 0
    for _ in range(plan.looks):
        if steady >= plan.steady_looks:
            break
        look = time.monotonic() + plan.look
        while (left := look - time.monotonic()) > 0:
            engine.step(left)
        if ended():
            raise UbError("the workload ended while it was being boosted")
        after = target.refresh_stats()
        now_loads = target.summary().loads
        good = now_loads == loads and share(before, after) >= plan.steady_rate
        steady = steady + 1 if good else 0
        before, loads = after, now_loads


def _step_until_output(loop: Loop, engine: Engine) -> None:
    readable = False

    def set_readable() -> None:
        nonlocal readable
        readable = True

    engine.watch(loop.output, set_readable)
    try:
        engine.run(lambda: readable)
    finally:
        engine.unwatch(loop.output)


def share(before: Stats, after: Stats) -> float:
    """Share of the calls between two looks that were dispatched; 0 without calls."""
    dispatched = after.dispatched - before.dispatched
    calls = dispatched + after.native - before.native
    return dispatched / calls if calls else 0.0
