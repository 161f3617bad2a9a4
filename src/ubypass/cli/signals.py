# SPDX-License-Identifier: GPL-2.0-only
"""Being asked to end: verbs unwind as they do for Ctrl-C, and leave nothing behind."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

__all__ = ["Ended", "orderly_end"]

_ASKED = (signal.SIGTERM, signal.SIGHUP)


class Ended(SystemExit):
    """We were asked to end; ``code`` is 128 plus the signal, as in a shell."""


@contextmanager
def orderly_end() -> Iterator[None]:
    """Within the block the first such signal raises :class:`Ended`, others do nothing.

    Verbs that do something else then have handlers of their own meanwhile. What was
    ignored when we were started (``nohup``) stays so.
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
    """The end is under way. Not SIG_IGN, which children would inherit."""
