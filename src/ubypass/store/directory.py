# SPDX-License-Identifier: GPL-2.0-only
"""A store in a directory, which machines may share by a network file system."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from ubypass.errors import UbError
from ubypass.files import open_regular
from ubypass.store.backend import StoreError, check_name
from ubypass.store.wire import MOST_BYTES

__all__ = ["Directory"]

#: More than the signature of a stored translation takes.
_MOST = MOST_BYTES + 4096

_FRESH = ".fresh-"


class Directory:
    """The directory ``root``, with a subdirectory for each first byte of an address.

    Raises UbError if there is none, or everybody can write to it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        try:
            found = root.stat()
        except OSError as error:
            raise UbError(
                f"cannot use the store {root}: {error.strerror}",
                f"install -d -m 755 {root}",
            ) from error
        if not stat.S_ISDIR(found.st_mode):
            raise UbError(f"cannot use the store {root}: it is not a directory")
        if found.st_mode & stat.S_IWOTH:
            raise UbError(
                f"cannot use the store {root}: everybody can write to it",
                f"chmod o-w {root}",
            )

    def get(self, name: str, seconds: float) -> bytes | None:
        """See :class:`~ubypass.store.backend.Backend`."""
        path = self._path(name)
        if not os.path.lexists(path):
            return None
        try:
            with open_regular(path, follow=False) as file:
                return file.read(_MOST)
        except UbError as error:
            raise StoreError(error.message) from error
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror}") from error

    def put(self, name: str, data: bytes, seconds: float, *, if_absent: bool) -> bool:
        """See :class:`~ubypass.store.backend.Backend`; other machines see all of it or
        nothing.
        """
        path = self._path(name)
        fresh = path.with_name(_FRESH + secrets.token_hex(8))
        try:
            path.parent.mkdir(exist_ok=True, mode=0o755)
            try:
                with open(fresh, "xb") as out:
                    os.fchmod(out.fileno(), 0o644)
                    out.write(data)
                    out.flush()
                    os.fsync(out.fileno())
                if not if_absent:
                    fresh.replace(path)
                    return True
                # Unlike a rename, a link fails if the name exists.
                os.link(fresh, path)
                return True
            except FileExistsError:
                return False
            finally:
                fresh.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"cannot write {path}: {error.strerror}") from error

    def sizes(self) -> Iterator[tuple[Path, int, float]]:
        """Each file with its size in bytes and its age in seconds."""
        now = time.time()
        for folder in sorted(self._root.glob("[0-9a-f][0-9a-f]")):
            for path in sorted(folder.iterdir()):
                with contextlib.suppress(OSError):
                    found = path.lstat()
                    if stat.S_ISREG(found.st_mode):
                        yield path, found.st_size, max(0.0, now - found.st_mtime)

    def prune(self, seconds: float) -> tuple[int, int]:
        """Remove files older than ``seconds``; their number and bytes. Raises UbError.

        Only files that a store has.
        """
        number = size = 0
        for path, length, age in self.sizes():
            if age < seconds or not _is_ours(path.name):
                continue
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise UbError(f"cannot remove {path}: {error.strerror}") from error
            number, size = number + 1, size + length
        return number, size

    def _path(self, name: str) -> Path:
        return self._root / check_name(name)[:2] / name


def _is_ours(name: str) -> bool:
    if name.startswith(_FRESH):
        return True
    try:
        return bool(check_name(name))
    except ValueError:
        return False
