# SPDX-License-Identifier: GPL-2.0-only
"""Capture a chain of system calls of a busy process.

Needs permission to trace the process: root, or the same user where
kernel.yama.ptrace_scope is 0 or the process is a child.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ubypass import child, processor
from ubypass.bench.chains.isolation import is_isolated
from ubypass.bench.chains.programs import capture_program
from ubypass.bench.chains.snapshot import Capture, Origin, load, save_origin
from ubypass.errors import UbError

__all__ = ["Wish", "capture"]

_ENDED, _LATE, _SIGNALLED, _LARGE, _DENIED = 3, 4, 5, 6, 7


@dataclass(frozen=True, slots=True)
class Wish:
    """What to capture: at least ``calls`` system calls, after ``skip`` others and the
    return of call ``after`` (-1: any) with a result of at least ``least``. A chain
    after such a call goes up to the next one, if it has at most four times ``calls``:
    an event loop that reads many requests answers them all later.

    ``seconds``: time limit. ``room``: most MiB of writable memory that are copied.
    """

    calls: int = 110
    skip: int = 200
    after: int = -1
    least: int = -(1 << 62)
    seconds: int = 60
    room: int = 512


def capture(pid: int, name: str, wish: Wish, folder: Path) -> Capture:
    """Capture process (or thread) ``pid`` into the empty directory ``folder``.

    The process is stopped and single-stepped meanwhile, thousands of times slower than
    usual; it continues afterwards. Raises UbError.
    """
    numbers = (wish.calls, wish.skip, wish.after, wish.least, wish.seconds, wish.room)
    done = child.run(
        [str(capture_program()), str(pid), str(folder), *map(str, numbers)],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise _failure(done.returncode, pid, name, wish, done.stderr.strip())
    origin = Origin(
        name, processor.describe(), processor.features(), isolated=is_isolated()
    )
    save_origin(folder, origin)
    return load(folder)


def _failure(status: int, pid: int, name: str, wish: Wish, output: str) -> UbError:
    if status == _ENDED:
        return UbError(f"{name} (process {pid}) ended while it was captured")
    if status == _LATE:
        return UbError(
            f"{name} (process {pid}) made fewer than {wish.skip + wish.calls} system "
            f"calls in {wish.seconds} s while it was captured ({output})",
            "increase its load, or capture fewer calls with --calls",
        )
    if status == _SIGNALLED:
        return UbError(
            f"{name} (process {pid}) got a signal while it was captured",
            "try again; if it happens again, with fewer calls (--calls)",
        )
    if status == _LARGE:
        return UbError(
            f"{name} (process {pid}) has more than {wish.room} MiB of writable memory",
            "capture it while it uses less memory",
        )
    if status == _DENIED:
        return UbError(
            f"process {pid} may not be traced: {output}",
            "run as root; a process can have only one tracer",
        )
    return UbError(f"cannot capture {name} (process {pid}): {output}")
