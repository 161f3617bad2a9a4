# SPDX-License-Identifier: GPL-2.0-only
"""All ways to read in one boot: io_uring first, then pread native and boosted.

In this order, since handlers of system calls stay hooked for a while after an
attachment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ubypass.bench import io
from ubypass.bench.records import Machine
from ubypass.bench.uring import fio, program
from ubypass.bench.uring.record import BOOSTED, FIO, LOOP, NATIVE, RIVALS, SQPOLL, Row

__all__ = ["DEPTHS", "QUICK_DEPTHS", "SIZES", "Plan", "compare"]

SIZES = (64, 256, 1024, 4096)
DEPTHS = tuple(1 << n for n in range(11))
QUICK_DEPTHS = (1, 32)

_Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to compare: ``programs`` of `record`, each at all ``sizes`` and ``depths``.

    ``fio_depths``: the depths for fio, which takes longer. ``loops``: how long to
    measure. ``boosted``: whether pread is boosted, too; natively neither root nor a
    module is needed.
    """

    programs: tuple[str, ...]
    sizes: tuple[int, ...] = SIZES
    depths: tuple[int, ...] = DEPTHS
    fio_depths: tuple[int, ...] = fio.DEPTHS
    loops: io.Plan = field(default_factory=io.Plan)
    boosted: bool = True


def compare(
    plan: Plan, machine: Machine, progress: _Report, disk: Path | None = None
) -> Iterator[Row]:
    """Measure every way at all sizes and depths; yields each row at once.

    In memory and, if ``disk`` is a directory, on a disk with its pages cached. Needs
    the same as `io.measure_all`; any other missing requirement becomes a row with the
    reason. Raises UbError.
    """
    places = [io.Place(), *([io.Place(disk)] if disk else [])]
    with_fio = FIO in plan.programs
    if with_fio and (reason := fio.why_not()):
        yield Row(FIO, NATIVE, 0, 0, "memory", None, machine, why_not=reason)
        with_fio = False
    for place in places:
        if LOOP in plan.programs:
            yield from _rivals(plan, machine, progress, place)
        if with_fio:
            sizes, depths = plan.sizes, plan.fio_depths
            yield from fio.rivals(sizes, depths, machine, progress, place)
    if with_fio:
        reason = program.why_not(SQPOLL) or fio.NO_POLLING
        yield Row(FIO, SQPOLL, 0, 0, "memory", None, machine, why_not=reason)
    if LOOP in plan.programs:
        for place in places:
            yield from _loops(plan, machine, progress, place)
    if with_fio:
        yield from fio.psync(plan.sizes, machine, plan.loops, progress, places)


def _rivals(
    plan: Plan, machine: Machine, progress: _Report, place: io.Place
) -> Iterator[Row]:
    """The rows of io_uring."""
    ways = []
    for way in RIVALS:
        where = place.name(io.read_of(1))
        reason = program.why_not(way)
        if reason:
            yield Row(LOOP, way, 0, 0, where, None, machine, why_not=reason)
        else:
            ways.append(way)
    for size in plan.sizes if ways else ():
        workload = io.read_of(size)
        count = io.calls_per_round(workload, plan.loops)
        # Whole batches, also at the largest depth.
        length = size * (count + max(plan.depths))
        with io.data_file(length, place.directory) as file:
            assert file is not None
            for depth in plan.depths:
                reads = program.Reads(size, depth, count, plan.loops.rounds)
                for way in ways:
                    progress(f"io_uring {way}, {size} bytes, depth {depth}")
                    found = program.read(way, file, reads)
                    counted = machine.unit == "instructions"
                    cost = found.median if counted else found.cpu
                    yield Row(
                        *(LOOP, way, size, depth, place.name(workload), cost, machine),
                        workers=found.workers,
                        poller=found.poller,
                        elapsed=0.0 if counted else found.median,
                    )


def _loops(
    plan: Plan, machine: Machine, progress: _Report, place: io.Place
) -> Iterator[Row]:
    """The rows of pread, native and boosted."""
    workloads = [io.read_of(size) for size in plan.sizes]
    if not plan.boosted:
        for each in workloads:
            progress(f"{each}: native")
            cost = io.measure_native(each, machine, plan.loops, place)
            yield Row(LOOP, NATIVE, each.size, 1, place.name(each), cost, machine)
        return
    disk = None if place == io.Place() else place.directory
    for record in io.measure_all(workloads, machine, plan.loops, progress, disk):
        yield Row(*(LOOP, NATIVE, record.size, 1, record.place, record.native, machine))
        yield Row(
            *(LOOP, BOOSTED, record.size, 1, record.place),
            record.boosted if record.is_boosted else None,
            machine,
            why_not="; ".join(record.why_not),
            bypass_rate=record.bypass_rate,
            same_results=record.same_results,
        )
