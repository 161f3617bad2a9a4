# SPDX-License-Identifier: GPL-2.0-only
"""Signals that ask for an end while an engine's loop waits."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ubypass.cli.session import Session

__all__ = ["Stop"]


class Stop:
    """SIGINT, SIGTERM and SIGHUP set ``asked`` and wake the engine's loop.

    A handler alone is not enough: an interrupted wait is resumed.
    """

    def __init__(
        self, session: Session, hangup: Callable[[], None] | None = None
    ) -> None:
        """``hangup``: called for a SIGHUP, which then does not ask for an end."""
        self.asked = False
        self._hangup = hangup
        self._session = session
        self._wake, self._woken = socket.socketpair()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stop:
        assert self._session.engine is not None
        self._session.engine.watch(self._woken.fileno(), self._drain)
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
        assert self._session.engine is not None
        self._session.engine.unwatch(self._woken.fileno())
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
