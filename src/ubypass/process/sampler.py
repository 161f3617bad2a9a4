# SPDX-License-Identifier: GPL-2.0-only
"""Samples of the user addresses of a process, by the kernel's CPU clock.

Uses ``perf_event_open``: the process is neither stopped nor changed. The clock is a
timer, so sampling works in virtual machines too. Independent of the meaning of the
addresses. Layouts: ``include/uapi/linux/perf_event.h``.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import struct
from collections import Counter

from ubypass.process.status import threads

__all__ = ["Sampler"]

_SYS_PERF_EVENT_OPEN = 298
_TYPE_SOFTWARE = 1
_CPU_CLOCK = 0
_SAMPLE_IP = 1
_FLAG_EXCLUDE_KERNEL = 1 << 5
_FLAG_EXCLUDE_HV = 1 << 6
_FLAG_FREQ = 1 << 10
_CLOEXEC = 8
_RECORD_SAMPLE = 9

_ATTR = struct.Struct("<IIQQQQQ")  # type size config freq sample_type read_format flags
_ATTR_SIZE = 64  # PERF_ATTR_SIZE_VER0
_HEADER = struct.Struct("<IHH")  # type misc size
_HEAD_OFFSET = 1024  # data_head in struct perf_event_mmap_page; data_tail follows
_PAGES = 16
_THREADS = 16


class Sampler:
    """Samples the present threads of ``pid`` (at most 16).

    ``frequency``: samples per second of CPU time. Threads that cannot be sampled give
    no samples; there is no error.
    """

    def __init__(self, pid: int, frequency: int = 1000) -> None:
        self._rings: list[_Ring] = []
        for tid in threads(pid)[:_THREADS]:
            with contextlib.suppress(OSError, ValueError):
                self._rings.append(_Ring(tid, frequency))

    def take(self) -> Counter[int]:
        """User addresses sampled since the last call, with their counts."""
        found: Counter[int] = Counter()
        for ring in self._rings:
            found.update(ring.take())
        return found

    def close(self) -> None:
        """Stop sampling."""
        while self._rings:
            self._rings.pop().close()


class _Ring:
    """The event of one thread and its buffer."""

    def __init__(self, tid: int, frequency: int) -> None:
        flags = _FLAG_EXCLUDE_KERNEL | _FLAG_EXCLUDE_HV | _FLAG_FREQ
        attr = _ATTR.pack(
            _TYPE_SOFTWARE, _ATTR_SIZE, _CPU_CLOCK, frequency, _SAMPLE_IP, 0, flags
        ).ljust(_ATTR_SIZE, b"\0")
        libc = ctypes.CDLL(None, use_errno=True)
        fd = libc.syscall(_SYS_PERF_EVENT_OPEN, attr, tid, -1, -1, _CLOEXEC)
        if fd < 0:
            raise OSError(ctypes.get_errno(), "perf_event_open")
        self._size = _PAGES * mmap.PAGESIZE
        try:
            self._map = mmap.mmap(fd, mmap.PAGESIZE + self._size)
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd

    def take(self) -> list[int]:
        head, tail = struct.unpack_from("<QQ", self._map, _HEAD_OFFSET)
        found = []
        while tail < head:
            kind, _, size = _HEADER.unpack(self._bytes(tail, _HEADER.size))
            if size < _HEADER.size:
                break
            if kind == _RECORD_SAMPLE:
                found.append(int.from_bytes(self._bytes(tail + 8, 8), "little"))
            tail += size
        struct.pack_into("<Q", self._map, _HEAD_OFFSET + 8, head)
        return found

    def _bytes(self, position: int, size: int) -> bytes:
        # Records are multiples of 8 bytes, as is the buffer: a field never wraps.
        start = mmap.PAGESIZE + position % self._size
        return self._map[start : start + size]

    def close(self) -> None:
        self._map.close()
        os.close(self._fd)
