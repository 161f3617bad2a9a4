# SPDX-License-Identifier: GPL-2.0-only
"""``/dev/ub_bench``: the cost of a system call's handler alone.

Mirrors ``kernel/bench/ub_bench.h`` (a test compares them).
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from dataclasses import dataclass
from fcntl import ioctl

from ubypass.errors import UbError

__all__ = ["DEVICE_PATH", "IOC_RUN", "NO_ADVANCE", "HandlerTime", "UbBenchRun", "run"]

DEVICE_PATH = "/dev/ub_bench"
NO_ADVANCE = 0xFF
MAX_COUNT = 100_000_000


class UbBenchRun(ctypes.Structure):
    """``struct ub_bench_run``."""

    _fields_ = [
        ("nr", ctypes.c_uint32),
        ("count", ctypes.c_uint32),
        ("args", ctypes.c_uint64 * 6),
        ("advance_arg", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("advance", ctypes.c_uint64),
        ("wrap", ctypes.c_uint64),
        ("total_ns", ctypes.c_uint64),
        ("empty_ns", ctypes.c_uint64),
        ("last", ctypes.c_int64),
        ("sum", ctypes.c_uint64),
    ]


#: _IOWR('u', 0xd0, struct ub_bench_run), see <asm-generic/ioctl.h>.
IOC_RUN = (3 << 30) | (ctypes.sizeof(UbBenchRun) << 16) | (ord("u") << 8) | 0xD0


@dataclass(frozen=True, slots=True)
class HandlerTime:
    """ns per call: of the loop, and of the same loop without the call.

    ``last``: result of the last call; ``sum``: the sum of all results.
    """

    loop: float
    empty: float
    last: int
    sum: int

    @property
    def handler(self) -> float:
        """ns of the handler and its call, without the loop's overhead."""
        return self.loop - self.empty


def run(
    nr: int,
    args: Sequence[int],
    count: int,
    *,
    advance_arg: int = NO_ADVANCE,
    advance: int = 0,
    wrap: int = 0,
    path: str = DEVICE_PATH,
) -> HandlerTime:
    """Run the handler of call ``nr`` ``count`` times with ``args`` in this process.

    Argument ``advance_arg`` grows by ``advance`` with each call and restarts at 0 when
    it would exceed ``wrap``. Raises UbError if the module is missing or refuses.
    """
    request = UbBenchRun(
        nr=nr, count=count, advance_arg=advance_arg, advance=advance, wrap=wrap
    )
    for i, value in enumerate(args):
        request.args[i] = value
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise UbError(
            f"cannot open {path}: {error.strerror}",
            "the limit needs the module ub_bench; 'make demo' loads it in the lab",
        ) from error
    try:
        ioctl(fd, IOC_RUN, request)
    except OSError as error:
        raise UbError(
            f"cannot run the handler of system call {nr}: {error.strerror}"
        ) from error
    finally:
        os.close(fd)
    return HandlerTime(
        request.total_ns / count, request.empty_ns / count, request.last, request.sum
    )
