# SPDX-License-Identifier: GPL-2.0-only
"""Opens files that somebody else may have chosen.

Opening is an action: a FIFO blocks until somebody writes to it, a device may do
something. So a path is looked at first, without opening what it names.
"""

from __future__ import annotations

import os
import stat
from typing import BinaryIO

from ubypass.errors import UbError

__all__ = ["open_regular"]

_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def open_regular(
    path: str | os.PathLike[str],
    *,
    follow: bool = True,
    same: tuple[int, int] | None = None,
) -> BinaryIO:
    """The file at ``path``, for reading; never blocks, never opens a device.

    ``follow``: whether ``path`` may be a symbolic link. ``same``: device and inode
    number that the file has to have. Raises ``UbError``.
    """
    name = os.fspath(path)
    flags = os.O_PATH | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        place = os.open(name, flags)
        try:
            found = os.fstat(place)
            if not stat.S_ISREG(found.st_mode):
                raise UbError(f"{name} is {_kind(found.st_mode)}, not a regular file")
            if same is not None and same != (found.st_dev, found.st_ino):
                raise UbError(f"{name} is another file by now")
            # What was looked at, whatever the path names by now.
            return open(f"/proc/self/fd/{place}", "rb")
        finally:
            os.close(place)
    except OSError as error:
        raise UbError(f"cannot read {name}: {error.strerror}") from error


def _kind(mode: int) -> str:
    return next((name for test, name in _KINDS if test(mode)), "a symbolic link")
