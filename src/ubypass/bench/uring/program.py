# SPDX-License-Identifier: GPL-2.0-only
"""Drives ``workloads/uring.c``: its protocol; independent of boosting."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ubypass import child
from ubypass.bench.uring.record import SQPOLL
from ubypass.bench.workloads import build_workload
from ubypass.errors import UbError

__all__ = ["Reads", "Result", "read", "why_not"]

_NOT_HERE = 3  # exit status if the kernel does not support the way
_DISABLED = Path("/proc/sys/kernel/io_uring_disabled")
_PROBE = 4096  # bytes of the file for the first attempt


@dataclass(frozen=True, slots=True)
class Reads:
    """The reads of a measurement: ``count`` reads in each of ``rounds``."""

    size: int
    depth: int
    count: int
    rounds: int


@dataclass(frozen=True, slots=True)
class Result:
    """``median``: of the rounds, elapsed ns per read; ``cpu``: CPU time of all threads.

    Other fields as in `record.Row`.
    """

    median: float
    cpu: float
    workers: int
    poller: float


class _NotHereError(Exception):
    """This kernel does not support the way."""


def why_not(way: str, processors: int | None = None) -> str:
    """The reason why ``way`` cannot be measured on this machine; "" if there is none.

    ``processors``: number of processors of this process; None: the actual number.
    """
    if processors is None:
        processors = len(os.sched_getaffinity(0))
    if way == SQPOLL and processors == 1:
        return (
            "not measurable: on one processor the polling thread and the program "
            "would wait for the scheduler"
        )
    with tempfile.NamedTemporaryFile(prefix="ubypass-") as file:
        file.write(bytes(_PROBE))
        file.flush()
        try:
            _run(way, Path(file.name), Reads(64, 1, 1, 1))
        except _NotHereError as error:
            return str(error)
        except UbError as error:
            return f"{error.message} ({error.hint})" if error.hint else error.message
    return ""


def read(way: str, file: Path, reads: Reads) -> Result:
    """Measure ``way`` on ``file``, which holds whole batches. Raises UbError."""
    try:
        return _run(way, file, reads)
    except _NotHereError as error:
        raise UbError(f"io_uring {way}: {error}") from None


def _run(way: str, file: Path, reads: Reads) -> Result:
    arguments = [
        *("--way", way, "--file", str(file), "--size", str(reads.size)),
        *("--depth", str(reads.depth), "--count", str(reads.count)),
        *("--rounds", str(reads.rounds)),
    ]
    done = child.run(
        [str(build_workload("uring")), *arguments], capture_output=True, text=True
    )
    message = done.stderr.strip()
    if done.returncode == _NOT_HERE:
        raise _NotHereError(_in_words(message))
    if done.returncode != 0:
        raise UbError(message or f"uring ended with status {done.returncode}")
    try:
        data = json.loads(done.stdout)
        median, cpu = float(data["median"]), float(data["cpu"])
        return Result(median, cpu, int(data["workers"]), float(data["poller"]))
    except (ValueError, KeyError, TypeError) as error:
        raise UbError(f"uring printed no result but '{done.stdout.strip()}'") from error


def _in_words(message: str) -> str:
    """The program's error in words, with the sysctl that disables io_uring."""
    if "Function not implemented" in message:
        return "this kernel has no io_uring"
    try:
        disabled = _DISABLED.read_text().strip()
    except OSError:
        disabled = "0"
    if disabled != "0" and "not permitted" in message:
        return f"io_uring is off here: kernel.io_uring_disabled is {disabled}"
    return message
