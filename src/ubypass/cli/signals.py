# SPDX-License-Identifier: GPL-2.0-only
"""Signals that ask for an end: verbs unwind as for Ctrl-C, and leave nothing behind."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

__all__ = ["Ended", "orderly_end"]

_ASKED = (signal.SIGTERM, signal.SIGHUP)


class Ended(SystemExit):
    """A signal asked for an end; ``code`` is 128 plus its number, as in a shell."""


@contextmanager
def orderly_end() -> Iterator[None]:
    """Raise :class:`Ended` in the block for the first such signal; ignore others.

    Verbs that do something else install their own handlers meanwhile. Signals that were
    ignored at the start (``nohup``) stay ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may have handlers
        return
    before: dict[int, Any] = {}

    def end(number: int, frame: object) -> NoReturn:
        for each in before:
            signal.signal(each, _nothing)
        raise Ended(128 + number)

    for number in map(int, _ASKED):
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _nothing(number: int, frame: object) -> None:
    """The end is in progress. A handler, since children would inherit SIG_IGN."""
