# SPDX-License-Identifier: GPL-2.0-only
"""Forwards signals from ``ub`` to the program that it has started."""

from __future__ import annotations

import signal
import subprocess
from typing import Any

__all__ = ["Forwarding"]

_FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT)  # the program gets its own


class Forwarding:
    """Forwards signals to ``child``, once it is set.

    Signals of the terminal reach the program directly and are ignored; other signals
    are forwarded. Handlers are installed before the program starts, so that none is
    lost.
    """

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Forwarding:
        handlers = {
            **dict.fromkeys(_FORWARDED, self._forward),
            **dict.fromkeys(_FROM_TERMINAL, self._ignore),
        }
        for number, handler in handlers.items():
            # The program inherits ignored signals (nohup, a background job).
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, handler)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def set_child(self, child: subprocess.Popen[bytes]) -> None:
        """Forward signals to ``child`` from now on, earlier ones first."""
        self._child = child
        while self._early:
            child.send_signal(self._early.pop(0))

    def _forward(self, number: int, frame: object) -> None:
        if self._child is None:
            self._early.append(number)
        else:
            self._child.send_signal(number)

    def _ignore(self, number: int, frame: object) -> None:
        """A handler instead of SIG_IGN, which the program would inherit."""
