# SPDX-License-Identifier: GPL-2.0-only
"""Keeps the daemon's CPU time within a share of one CPU.

Boosted programs are not affected: the module runs translations without the daemon. New
translations have to wait. Times are arguments, in seconds.
"""

from __future__ import annotations

__all__ = ["Throttle"]

_LEAST = 1e-3  # seconds of CPU time


class Throttle:
    """``share`` of one CPU (0 to 1), averaged over ``window`` seconds."""

    def __init__(
        self, share: float, now: float, cpu: float, window: float = 60.0
    ) -> None:
        self._share = share
        self._window = window
        self._now = now
        self._cpu = cpu
        self._credit = share * window

    def change(self, share: float) -> None:
        """Set another share; a debt of CPU time is kept."""
        self._share = share
        self._credit = min(self._credit, share * self._window)

    def wait(self, now: float, cpu: float) -> float:
        """Seconds of idle time that are due; ``cpu``: CPU time used so far."""
        self._credit += (now - self._now) * self._share - (cpu - self._cpu)
        self._credit = min(self._credit, self._share * self._window)
        self._now, self._cpu = now, cpu
        # A debt within rounding errors is ignored.
        return -self._credit / self._share if self._credit < -_LEAST else 0.0
