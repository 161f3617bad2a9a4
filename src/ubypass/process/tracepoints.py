# SPDX-License-Identifier: GPL-2.0-only
"""The numbers of the kernel's tracepoints, for ``perf_event_open``.

The numbers are read from tracefs. If tracefs is not mounted, a child process mounts it
in a mount namespace of its own; the mount is visible there only and ends with the
child.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path

from ubypass.errors import UbError

__all__ = ["PLACES", "tracepoint_numbers"]

#: The usual mount points of tracefs.
PLACES = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))

_CLONE_NEWNS = 0x20000
_MS_REC, _MS_PRIVATE = 1 << 14, 1 << 18
_ROOM = 64  # bytes of a number in the pipe, at most


def tracepoint_numbers(
    names: Sequence[str], places: Sequence[Path] = PLACES
) -> tuple[int, ...]:
    """The numbers of ``names``, each ``group/event``, in order. Raises UbError."""
    for place in places:
        found = _read(place, names)
        if found:
            return found
    found = _read_apart(places[0], names) if places else ()
    if found:
        return found
    hint = "mount -t tracefs tracefs /sys/kernel/tracing"
    raise UbError(
        "tracepoints are unavailable: tracefs is not mounted, or not readable",
        hint if os.geteuid() == 0 else "run as root",
    )


def _read(place: Path, names: Sequence[str]) -> tuple[int, ...]:
    try:
        return tuple(int((place / "events" / n / "id").read_text()) for n in names)
    except (OSError, ValueError):
        return ()


def _read_apart(place: Path, names: Sequence[str]) -> tuple[int, ...]:
    ours, theirs = os.pipe()
    libc = ctypes.CDLL(None, use_errno=True)
    child = os.fork()
    if child == 0:
        _mount_and_read(libc, place, names, theirs)
    os.close(theirs)
    with open(ours, "rb") as pipe:
        data = pipe.read(_ROOM * len(names))
    os.waitpid(child, 0)
    return tuple(int(word) for word in data.split())


def _mount_and_read(
    libc: ctypes.CDLL, place: Path, names: Sequence[str], out: int
) -> None:  # pragma: no cover - in the child
    """Mount tracefs, write the numbers to ``out``, and exit; never returns."""
    try:
        where = os.fsencode(place)
        if libc.unshare(_CLONE_NEWNS) == 0:
            # A shared mount would propagate to the parent's namespace.
            private = ctypes.c_ulong(_MS_REC | _MS_PRIVATE)
            done = libc.mount(b"none", b"/", None, private, None) == 0
            none = ctypes.c_ulong(0)
            if done and libc.mount(b"tracefs", where, b"tracefs", none, None) == 0:
                os.write(out, " ".join(map(str, _read(place, names))).encode())
    finally:
        os._exit(0)
