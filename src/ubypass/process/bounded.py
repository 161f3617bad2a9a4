# SPDX-License-Identifier: GPL-2.0-only
"""Runs work on untrusted input within bounds of memory and time.

The work runs in a child process without any open file of the parent. Work that needs
too much memory fails there; work that does not end (a read from a file system whose
server does not answer) is abandoned. Independent of the kind of work.
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import select
import signal
import time
from collections.abc import Callable

__all__ = ["bounded"]

_CHUNK = 1 << 20
_LENGTH = 8  # bytes of the length in front of the answer


def bounded(
    work: Callable[[], bytes], *, seconds: float, memory: int, result: int
) -> bytes | None:
    """The result of ``work``; None if the work fails or exceeds a bound.

    ``seconds``: real time. ``memory``: bytes of address space beyond the present ones
    of this process. ``result``: the largest accepted result in bytes.
    """
    _reap()
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        _work(work, theirs, memory, seconds)
    os.close(theirs)
    try:
        return _receive(ours, time.monotonic() + seconds, result)
    finally:
        os.close(ours)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        _children.add(child)
        _reap()


#: Killed children not yet reaped: the kernel may have to wait for a file system.
_children: set[int] = set()


def _reap() -> None:
    for child in list(_children):
        try:
            ended, _ = os.waitpid(child, os.WNOHANG)
        except ChildProcessError:
            ended = child
        if ended:
            _children.discard(child)


def _work(
    work: Callable[[], bytes], out: int, memory: int, seconds: float
) -> None:  # pragma: no cover - in the child
    """Run in the child; never returns, so that no exit handler of the parent runs."""
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        # An abandoned child must not keep a device of the parent open.
        out = os.dup2(out, 0)
        os.closerange(1, os.sysconf("SC_OPEN_MAX"))
        gc.disable()
        limit = _address_space() + memory
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        limit = max(int(seconds), 1)
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
        answer = work()
        rest = memoryview(len(answer).to_bytes(_LENGTH, "little") + answer)
        while rest:
            rest = rest[os.write(out, rest) :]
    except BaseException:
        pass
    finally:
        os._exit(0)


def _address_space() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def _receive(source: int, deadline: float, most: int) -> bytes | None:
    found = bytearray()
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([source], [], [], left)[0]:
            return None
        part = os.read(source, _CHUNK)
        if not part:
            break
        found += part
        if len(found) > _LENGTH + most:
            return None
    length, answer = found[:_LENGTH], bytes(found[_LENGTH:])
    whole = len(length) == _LENGTH and int.from_bytes(length, "little") == len(answer)
    return answer if whole else None
