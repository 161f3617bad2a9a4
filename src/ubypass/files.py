# SPDX-License-Identifier: GPL-2.0-only
"""Reads and writes files at untrusted paths.

Opening a file can have effects: a FIFO blocks until it has a writer, a device may act.
The type of a file is therefore checked before it is opened. Text is UTF-8 in any
locale.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from ubypass.errors import UbError

__all__ = [
    "must_be_changeable",
    "must_be_writable",
    "open_regular",
    "read_text",
    "write_text",
]

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

    ``follow``: whether ``path`` may be a symbolic link. ``same``: the required device
    and inode number of the file. Raises ``UbError``.
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
                raise UbError(f"{name} was replaced by another file")
            # The checked file, even if the path now leads to another one.
            return open(f"/proc/self/fd/{place}", "rb")
        finally:
            os.close(place)
    except OSError as error:
        raise UbError(f"cannot read {name}: {error.strerror}") from error


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of the file at ``path``. Raises ``UbError``; ValueError if not UTF-8."""
    with open_regular(path) as file:
        return file.read().decode()


def write_text(path: Path, text: str) -> None:
    """Write the file at ``path``, replacing an old one atomically.

    Missing directories are created. Raises ``UbError``.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if path.exists() and not path.is_file():
            # Other files, such as /dev/stdout, are written to, not replaced.
            with path.open("w", encoding="utf-8") as out:
                out.write(text)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise UbError(f"cannot write {path}: {error.strerror}") from error


def must_be_writable(path: Path, *, parents: bool = True) -> None:
    """Raise ``UbError`` if :func:`write_text` could not write ``path``.

    A check before long work; the write may still fail later. ``parents``: whether
    directories may be missing.
    """
    if path.is_dir():
        raise UbError(
            f"cannot write {path}: it is a directory", "give the name of a file in it"
        )
    place = path if path.exists() and not path.is_file() else path.parent
    while parents and not place.exists() and place != place.parent:
        place = place.parent
    if place == path:
        if not os.access(place, os.W_OK):
            raise UbError(f"cannot write {path}: permission denied")
    elif not place.is_dir():
        what = "is not a directory" if place.exists() else "does not exist"
        raise UbError(f"cannot write {path}: {place} {what}")
    elif not os.access(place, os.W_OK | os.X_OK):
        raise UbError(
            f"cannot write {path}: no permission to change {place}",
            "choose a file in one of your directories",
        )


def must_be_changeable(directory: Path) -> None:
    """Raise ``OSError`` unless files can be created in ``directory``: a check before
    calls of other programs, whose own messages give no hint.
    """
    if not os.access(directory, os.W_OK | os.X_OK):
        number = errno.EACCES
        raise OSError(number, os.strerror(number), str(directory))


def _kind(mode: int) -> str:
    return next((name for test, name in _KINDS if test(mode)), "a symbolic link")
