# SPDX-License-Identifier: GPL-2.0-only
"""The real system call that stands for a call of the chain during a replay."""

from __future__ import annotations

import enum

from ubypass.bench.chains.snapshot import Call

__all__ = ["Work", "work_for"]

_ROOM = 1 << 16  # most bytes that one call moves
_SOCKETS = "sd"


class Work(enum.IntEnum):
    """``enum work`` in ``replay.h``."""

    NOTHING = 0
    RECEIVE = 1
    NOTHING_THERE = 2
    SEND = 3
    DATAGRAM = 4
    READ = 5
    WRITE = 6
    SENDFILE = 7
    OPEN = 8
    STAT = 9
    CLOSE = 10
    WAIT = 11


_READS = frozenset({0, 19, 45, 47, 299})  # read readv recvfrom recvmsg recvmmsg
_WRITES = frozenset({1, 20, 44, 46, 307})
_PLAIN = {
    **dict.fromkeys((17, 295), Work.READ),
    **dict.fromkeys((18, 296), Work.WRITE),
    40: Work.SENDFILE,
    **dict.fromkeys((2, 257), Work.OPEN),
    **dict.fromkeys((4, 5, 6, 262), Work.STAT),
    3: Work.CLOSE,
    **dict.fromkeys((7, 232, 271, 281), Work.WAIT),
}
_SIZED = (Work.READ, Work.WRITE, Work.SENDFILE)


def work_for(call: Call) -> tuple[Work, int]:
    """The work in place of ``call``, and its number of bytes."""
    failed = call.result >> 63
    size = 1 if failed else max(1, min(call.result, _ROOM))
    if call.nr in _READS or call.nr in _WRITES:
        if call.kind == "f":
            return (Work.READ if call.nr in _READS else Work.WRITE), size
        if call.kind not in _SOCKETS:
            return Work.NOTHING, 0
        if failed:
            return Work.NOTHING_THERE, 0
        if call.nr in _WRITES:
            return Work.SEND, size
        return (Work.DATAGRAM if call.kind == "d" else Work.RECEIVE), size
    work = _PLAIN.get(call.nr, Work.NOTHING)
    return work, size if work in _SIZED else 0
