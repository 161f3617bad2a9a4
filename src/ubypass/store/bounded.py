# SPDX-License-Identifier: GPL-2.0-only
"""Calls that are not waited for longer than some time.

A name server, a network file system or a service may never answer, and no library
bounds all of these. So a call runs in a thread of its own, which is left alone when it
takes too long.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["Bounded", "TooSlow"]

_T = TypeVar("_T")


class TooSlow(Exception):
    """A call takes too long, this one or the one before."""


class Bounded:
    """Makes one call at a time."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None

    def __call__(self, job: Callable[[], _T], seconds: float) -> _T:
        """The result of ``job()``, or its exception; ``TooSlow`` after ``seconds``.

        ``TooSlow`` at once while an earlier call is still running.
        """
        if self._thread is not None and self._thread.is_alive():
            raise TooSlow
        results: list[_T] = []
        errors: list[BaseException] = []

        def run() -> None:
            try:
                results.append(job())
            except BaseException as error:
                errors.append(error)

        self._thread = threading.Thread(target=run, name="store", daemon=True)
        self._thread.start()
        self._thread.join(seconds)
        if self._thread.is_alive():
            raise TooSlow
        self._thread = None
        if errors:
            raise errors[0]
        return results[0]
