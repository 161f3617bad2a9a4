# SPDX-License-Identifier: GPL-2.0-only
"""The number of system calls of processes, counted by the kernel independently of ub.

Uses a perf counter of the tracepoint that every call passes: while it counts, every
call is slower, and nothing is boosted. Layouts: ``include/uapi/linux/perf_event.h``.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path

from ubypass.errors import UbError
from ubypass.process.status import threads

__all__ = ["CallCounter"]

_TRACEPOINT = Path("/sys/kernel/tracing/events/raw_syscalls/sys_enter/id")
_SYS_PERF_EVENT_OPEN = 298
_TYPE_TRACEPOINT = 2
_CLOEXEC = 8
_ATTR = struct.Struct("<IIQQQQQ")  # type size config period sample_type format flags
_ATTR_SIZE = 64  # PERF_ATTR_SIZE_VER0


class CallCounter:
    """Counts the calls of all present threads of ``pids``; a context manager.

    Raises UbError if the kernel cannot count them.
    """

    def __init__(self, pids: Iterable[int], tracepoint: Path = _TRACEPOINT) -> None:
        self._counters: list[int] = []
        try:
            number = int(tracepoint.read_text())
        except (OSError, ValueError) as error:
            raise UbError(
                "the kernel has no tracepoints to count system calls",
                "mount -t tracefs tracefs /sys/kernel/tracing",
            ) from error
        for pid in pids:
            for tid in threads(pid):
                self._counters.append(_opened(number, tid))

    def __enter__(self) -> CallCounter:
        return self

    def __exit__(self, *_: object) -> None:
        while self._counters:
            os.close(self._counters.pop())

    def total(self) -> int:
        """The number of calls so far."""
        data = (os.read(counter, 8) for counter in self._counters)
        return sum(int.from_bytes(each, "little") for each in data)


def _opened(tracepoint: int, tid: int) -> int:
    attr = _ATTR.pack(_TYPE_TRACEPOINT, _ATTR_SIZE, tracepoint, 0, 0, 0, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    fd: int = libc.syscall(
        _SYS_PERF_EVENT_OPEN, attr.ljust(_ATTR_SIZE, b"\0"), tid, -1, -1, _CLOEXEC
    )
    if fd < 0:
        why = os.strerror(ctypes.get_errno())
        raise UbError(
            f"cannot count system calls of thread {tid}: {why}", "run as root"
        )
    return fd
