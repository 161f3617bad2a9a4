# SPDX-License-Identifier: GPL-2.0-only
"""The same comparison with fio, whose own code is part of each read.

Its engine io_uring reports reads and time itself. Of psync, which runs while it is
attached, the kernel's count of reads (syscr of /proc/PID/io) is sampled by the
machine's clock.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ubypass import child
from ubypass.bench import io
from ubypass.bench.records import BOOSTED as IS_BOOSTED
from ubypass.bench.records import Machine
from ubypass.bench.server.process import needs
from ubypass.bench.uring.record import BOOSTED, FIO, NATIVE, PLAIN, REGISTERED, Row
from ubypass.device.client import Device
from ubypass.engine.build import Builder
from ubypass.engine.engine import Engine
from ubypass.errors import UbError
from ubypass.process.status import identify

__all__ = ["DEPTHS", "NO_POLLING", "command", "cost_of", "psync", "rivals", "why_not"]

DEPTHS = (1, 32, 256)

#: Why SQPOLL of fio is no measurement where a second processor could poll.
NO_POLLING = "not measured: fio does not tell the CPU time of the thread that polls"

_FILE = 16 << 20  # bytes; the file is read repeatedly
_RUN_MS = 250  # of io_uring: fio reports whole milliseconds
_WINDOW = 0.1  # seconds of the machine's clock between two samples of psync
_LOOK = 0.05
_BEGUN = 1000  # reads after which the start-up of psync is over

_ENGINES = {
    NATIVE: ("--ioengine=psync",),
    PLAIN: ("--ioengine=io_uring",),
    REGISTERED: ("--ioengine=io_uring", "--fixedbufs=1", "--registerfiles=1"),
}

_Report = Callable[[str], None]


def why_not() -> str:
    """The reason why fio cannot be measured here; "" if there is none."""
    try:
        needs("fio", "fio")
    except UbError as error:
        return f"{error.message} ({error.hint})"
    return ""


def psync(
    sizes: Sequence[int],
    machine: Machine,
    plan: io.Plan,
    progress: _Report,
    places: Sequence[io.Place],
) -> Iterator[Row]:
    """Rows of pread by fio, natively and boosted. Raises UbError."""
    fio = needs("fio", "fio")
    with (
        Device() as device,
        contextlib.closing(
            Engine(device, build=Builder(device.info()), log=progress)
        ) as engine,
    ):
        for place in places:
            for size in sizes:
                yield from _psync(fio, size, machine, engine, plan, progress, place)


def command(fio: str, way: str, size: int, depth: int, file: Path) -> list[str]:
    """A command without a time limit; one thread reads one file, cached.

    In whole batches: otherwise fio enters the kernel for each completed read.
    """
    return [
        *(fio, "--name=reads", f"--filename={file}", "--rw=read", f"--bs={size}"),
        *(f"--size={_FILE}", "--direct=0", "--invalidate=0", "--thread"),
        *("--gtod_reduce=1", "--norandommap", "--time_based", "--output-format=json"),
        *(f"--iodepth={depth}", f"--iodepth_batch_submit={depth}"),
        *(f"--iodepth_batch_complete_{which}={depth}" for which in ("min", "max")),
        *_ENGINES[way],
    ]


def cost_of(output: str) -> float:
    """ns per read in the output of fio. Raises UbError."""
    try:
        # Remarks may precede the JSON.
        job = json.loads(output[output.index("{") :])["jobs"][0]
        return float(job["job_runtime"]) * 1e6 / int(job["read"]["total_ios"])
    except (ValueError, KeyError, IndexError, TypeError, ZeroDivisionError) as error:
        raise UbError(f"fio printed no result but '{output.strip()[:200]}'") from error


def rivals(
    sizes: Sequence[int],
    depths: Sequence[int],
    machine: Machine,
    progress: _Report,
    place: io.Place,
) -> Iterator[Row]:
    """Rows of io_uring by fio; a way that fails has one row with the reason."""
    fio = needs("fio", "fio")
    ways = [PLAIN, REGISTERED]
    with io.data_file(_FILE, place.directory) as file:
        assert file is not None
        for size in sizes:
            for depth in depths:
                for way in tuple(ways):
                    progress(f"fio, io_uring {way}, {size} bytes, depth {depth}")
                    words = command(fio, way, size, depth, file)
                    done = child.run(
                        [*words, f"--runtime={_RUN_MS}ms"],
                        stdin=subprocess.DEVNULL,
                        capture_output=True,
                        text=True,
                    )
                    where = place.name(io.read_of(size))
                    if done.returncode == 0:
                        cost = cost_of(done.stdout)
                        yield Row(
                            *(FIO, way, size, depth, where, cost, machine),
                            same_results=None,
                        )
                        continue
                    reason = _last_words(done.stderr or done.stdout)
                    yield Row(FIO, way, 0, 0, where, None, machine, why_not=reason)
                    ways.remove(way)


def _psync(
    fio: str,
    size: int,
    machine: Machine,
    engine: Engine,
    plan: io.Plan,
    progress: _Report,
    place: io.Place,
) -> Iterator[Row]:
    where = place.name(io.read_of(size))
    with io.data_file(_FILE, place.directory) as file:
        assert file is not None
        words = [*command(fio, NATIVE, size, 1, file), "--runtime=1000000"]
        process = child.start(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            progress(f"fio, psync, {size} bytes: native")
            _until_it_reads(process)
            native = _windows(process.pid, plan.rounds)
            progress(f"fio, psync, {size} bytes: boosted")
            started = time.monotonic_ns()
            target = engine.attach(identify(process.pid), started_ns=started)
            engine.watch_end(target)
            io.warm_up(lambda: process.poll() is not None, target, engine, plan)
            before = target.refresh_stats()
            boosted = _windows(process.pid, plan.rounds)
            share = io.share(before, target.refresh_stats())
            why = io.decisions(target, io.PREAD64)
        finally:
            child.end(process)
        engine.run(lambda: target not in engine.targets)
    yield Row(FIO, NATIVE, size, 1, where, native, machine, same_results=None)
    is_boosted = share >= IS_BOOSTED
    yield Row(
        *(FIO, BOOSTED, size, 1, where, boosted if is_boosted else None, machine),
        why_not="" if is_boosted else "; ".join((f"{share:.1%} dispatched", *why)),
        bypass_rate=share,
        same_results=None,
    )


def _until_it_reads(process: subprocess.Popen[str]) -> None:
    # No time limit: the machine's clock jumps ahead while it waits for files.
    while _reads(process.pid) < _BEGUN:
        if process.poll() is not None:
            raise UbError(f"fio ended with status {process.returncode}")
        time.sleep(_LOOK)
    time.sleep(_LOOK)


def _windows(pid: int, number: int) -> float:
    """ns per read: the median of ``number`` windows."""
    found = []
    for _ in range(number):
        begin, before = time.monotonic_ns(), _reads(pid)
        time.sleep(_WINDOW)
        end, after = time.monotonic_ns(), _reads(pid)
        if after <= before:
            raise UbError("fio stopped reading while it was measured")
        found.append((end - begin) / (after - before))
    return statistics.median(found)


def _reads(pid: int) -> int:
    """Calls of the read family that the process has made."""
    try:
        text = Path(f"/proc/{pid}/io").read_text()
    except OSError as error:
        raise UbError(f"cannot count fio's reads: {error.strerror}") from error
    return int(text.split("syscr:")[1].split()[0])


def _last_words(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return f"fio: {lines[-1]}" if lines else "fio failed without a message"
