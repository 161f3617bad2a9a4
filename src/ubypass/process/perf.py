# SPDX-License-Identifier: GPL-2.0-only
"""Events of one thread, from ``perf_event_open``: counters, and records in a ring.

The thread is neither stopped nor changed. Independent of the meaning of the records.
Layouts: ``include/uapi/linux/perf_event.h``.
"""

from __future__ import annotations

import ctypes
import enum
import fcntl
import mmap
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Attr", "Event", "Flag", "Kind", "Record", "Ring", "Sample"]

_SYS_PERF_EVENT_OPEN = 298
_CLOEXEC = 8
_ENABLE, _DISABLE, _REFRESH, _SET_OUTPUT = 0x2400, 0x2401, 0x2402, 0x2405

# PERF_ATTR_SIZE_VER5: type size config period sample_type read_format flags wakeup bp
# config1 config2 branches regs_user stack_user clock regs_intr aux stack reserved
_ATTR = struct.Struct("<IIQQQQQIIQQQQIiQIHH")
_HEADER = struct.Struct("<IHH")  # type misc size
_HEAD_OFFSET = 1024  # data_head in struct perf_event_mmap_page; data_tail follows

_libc = ctypes.CDLL(None, use_errno=True)


class Kind(enum.IntEnum):
    """``enum perf_type_id``."""

    SOFTWARE = 1
    TRACEPOINT = 2


class Sample(enum.IntFlag):
    """The fields of a sample, in this order (``enum perf_event_sample_format``)."""

    NONE = 0
    TIME = 1 << 2
    RAW = 1 << 10
    REGS_USER = 1 << 12


class Flag(enum.IntFlag):
    """Bits of ``struct perf_event_attr``."""

    NONE = 0
    DISABLED = 1 << 0
    SAMPLE_ID_ALL = 1 << 18
    CONTEXT_SWITCH = 1 << 26


class Record(enum.IntEnum):
    """The members of ``enum perf_event_type`` in use."""

    LOST = 2
    SAMPLE = 9
    SWITCH = 14


@dataclass(frozen=True, slots=True)
class Attr:
    """The event to count or sample: ``config`` of ``kind``.

    ``period``: every ``period``-th event is sampled; 0: events are only counted.
    ``registers``: mask of the user registers in each sample.
    """

    kind: Kind
    config: int
    period: int = 0
    sample: Sample = Sample.NONE
    flags: Flag = Flag.NONE
    registers: int = 0

    def pack(self) -> bytes:
        """As a ``struct perf_event_attr``."""
        head = (self.kind, _ATTR.size, self.config, self.period, self.sample, 0)
        rest = (self.flags, 0, 0, 0, 0, 0, self.registers, 0, 0, 0, 0, 0, 0)
        return _ATTR.pack(*head, *rest)


class Event:
    """One event of thread ``tid`` (0: the caller); in the group of ``leader``, if any.

    Raises OSError if the kernel refuses.
    """

    def __init__(self, attr: Attr, tid: int, leader: Event | None = None) -> None:
        group = -1 if leader is None else leader.fd
        self.fd: int = _libc.syscall(
            _SYS_PERF_EVENT_OPEN, attr.pack(), tid, -1, group, _CLOEXEC
        )
        if self.fd < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def enable(self) -> None:
        """Start the whole group."""
        fcntl.ioctl(self.fd, _ENABLE, 0)

    def enable_for(self, samples: int) -> None:
        """Start the whole group, which stops after ``samples`` samples."""
        fcntl.ioctl(self.fd, _REFRESH, samples)

    def disable(self) -> None:
        """Stop the whole group."""
        fcntl.ioctl(self.fd, _DISABLE, 0)

    def output_to(self, other: Event) -> None:
        """Write records to the ring of ``other``."""
        fcntl.ioctl(self.fd, _SET_OUTPUT, other.fd)

    def value(self) -> int:
        """The count so far."""
        return int.from_bytes(os.read(self.fd, 8), "little")

    def close(self) -> None:
        """Close the event."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Ring:
    """The ring buffer of ``event``: ``pages`` pages, a power of two. Raises OSError."""

    def __init__(self, event: Event, pages: int) -> None:
        self._size = pages * mmap.PAGESIZE
        self._map = mmap.mmap(event.fd, mmap.PAGESIZE + self._size)

    def take(self) -> Iterator[tuple[int, int, bytes]]:
        """Records since the last call: type, misc, bytes behind the header."""
        head, tail = struct.unpack_from("<QQ", self._map, _HEAD_OFFSET)
        data = self._bytes(tail, head - tail)
        struct.pack_into("<Q", self._map, _HEAD_OFFSET + 8, head)
        at = 0
        while at + _HEADER.size <= len(data):
            kind, misc, size = _HEADER.unpack_from(data, at)
            if size < _HEADER.size:
                return
            yield kind, misc, data[at + _HEADER.size : at + size]
            at += size

    @property
    def filled(self) -> int:
        """Bytes of records since the last :meth:`take`."""
        head, tail = struct.unpack_from("<QQ", self._map, _HEAD_OFFSET)
        return int(head - tail)

    def close(self) -> None:
        """Unmap the buffer."""
        self._map.close()

    def _bytes(self, position: int, length: int) -> bytes:
        start = position % self._size
        first = self._map[mmap.PAGESIZE + start : mmap.PAGESIZE + start + length]
        rest = length - len(first)
        return first + self._map[mmap.PAGESIZE : mmap.PAGESIZE + rest]
