# SPDX-License-Identifier: GPL-2.0-only
"""Detects by polling that a file was changed or replaced."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["Follower"]

_Identity = tuple[int, int, int, int]


class Follower:
    """Watches ``path``; if the path is a symbolic link, its target.

    Polls at most once in ``seconds``, however often :meth:`changed` is called.
    """

    def __init__(
        self,
        path: Path,
        seconds: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._seconds = seconds
        self._clock = clock
        self._known = self._look()
        self._next = clock() + seconds

    def changed(self) -> bool:
        """Whether the file differs from the last poll.

        A missing file counts as unchanged: a replacement may remove the old file first.
        """
        now = self._clock()
        if now < self._next:
            return False
        self._next = now + self._seconds
        found = self._look()
        if found is None or found == self._known:
            return False
        self._known = found
        return True

    def _look(self) -> _Identity | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
