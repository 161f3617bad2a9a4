# SPDX-License-Identifier: GPL-2.0-only
"""Capture a chain of system calls of a process that is busy.

Needs leave to trace it: root, or the same user where the system lets users trace
(kernel.yama.ptrace_scope is 0, or it is a child).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ubypass import child, processor
from ubypass.bench.chains.programs import capture_program
from ubypass.bench.chains.snapshot import Capture, Origin, load, save_origin
from ubypass.errors import UbError

__all__ = ["Wish", "capture"]

_ENDED, _LATE, _SIGNALLED, _LARGE, _DENIED = 3, 4, 5, 6, 7


@dataclass(frozen=True, slots=True)
class Wish:
    """What to capture: ``calls`` system calls, after ``skip`` others and the return of
    call ``after`` (-1: any) with a result of ``least`` or more; in ``seconds`` at most.
    ``room``: writable memory of the program, in MiB, that is still copied.
    """

    calls: int = 110
    skip: int = 200
    after: int = -1
    least: int = -(1 << 62)
    seconds: int = 60
    room: int = 512


def capture(pid: int, name: str, wish: Wish, folder: Path) -> Capture:
    """Capture process (or thread) ``pid`` into ``folder``, which is there and empty.

    It is stopped and stepped meanwhile, thousands of times slower than usual, and then
    goes on. Raises UbError.
    """
    numbers = (wish.calls, wish.skip, wish.after, wish.least, wish.seconds, wish.room)
    done = child.run(
        [str(capture_program()), str(pid), str(folder), *map(str, numbers)],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise _failure(done.returncode, pid, name, wish, done.stderr.strip())
    origin = Origin(name, processor.describe(), processor.features())
    save_origin(folder, origin)
    return load(folder)


def _failure(status: int, pid: int, name: str, wish: Wish, said: str) -> UbError:
    if status == _ENDED:
        return UbError(f"{name} (process {pid}) ended while it was captured")
    if status == _LATE:
        return UbError(
            f"{name} (process {pid}) made fewer than {wish.skip + wish.calls} system "
            f"calls in {wish.seconds} s while it was captured ({said})",
            "give it load, or capture fewer calls with --calls",
        )
    if status == _SIGNALLED:
        return UbError(
            f"a signal came to {name} (process {pid}) while it was captured",
            "try again, with fewer calls if that goes on (--calls)",
        )
    if status == _LARGE:
        return UbError(
            f"{name} (process {pid}) has more than {wish.room} MiB of memory that can "
            "be written",
            "capture it while it is small",
        )
    if status == _DENIED:
        return UbError(
            f"process {pid} may not be traced: {said}",
            "run as root; only one tracer can have a process at a time",
        )
    return UbError(f"cannot capture {name} (process {pid}): {said}")
