# SPDX-License-Identifier: GPL-2.0-only
"""Signals that ask for an end while a loop waits, of an engine or of a client."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["Loop", "Stop"]


class Loop(Protocol):
    """What waits; an ``Engine`` is one."""

    def watch(self, fd: int, callback: Callable[[], None]) -> None:
        """Call ``callback`` whenever ``fd`` is readable."""

    def unwatch(self, fd: int) -> None:
        """Undo :meth:`watch`."""


class Stop:
    """SIGINT, SIGTERM and SIGHUP set ``asked`` and wake ``loop``.

    A handler alone is not enough: an interrupted wait is resumed.
    """

    def __init__(self, loop: Loop, hangup: Callable[[], None] | None = None) -> None:
        """``hangup``: called for a SIGHUP, which then does not ask for an end."""
        self.asked = False
        self._hangup = hangup
        self._loop = loop
        self._wake, self._woken = socket.socketpair()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stop:
        self._loop.watch(self._woken.fileno(), self._drain)
        for end in (self._wake, self._woken):
            end.setblocking(False)
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        for which in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # A background job ignores SIGINT, but ub has to end by SIGINT.
            nohup = which is signal.SIGHUP and _is_ignored(which)
            if self._hangup is not None or not nohup:
                self._before[which] = signal.signal(which, self._ask)
        return self

    def __exit__(self, *error: object) -> None:
        for which, handler in self._before.items():
            signal.signal(which, handler)
        signal.set_wakeup_fd(-1)
        self._loop.unwatch(self._woken.fileno())
        self._wake.close()
        self._woken.close()

    def _ask(self, number: int, frame: object) -> None:
        if number == signal.SIGHUP and self._hangup is not None:
            self._hangup()
        else:
            self.asked = True

    def _drain(self) -> None:
        self._woken.recv(64)


def _is_ignored(which: signal.Signals) -> bool:
    return signal.getsignal(which) is signal.SIG_IGN
