# SPDX-License-Identifier: GPL-2.0-only
"""Bounds on requests: a circuit breaker for failures, and a budget for all.

Times in seconds come in as arguments.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Breaker", "Budget"]


@dataclass(slots=True)
class Breaker:
    """Closed while requests succeed. After ``failures`` in a row no request is made for
    ``shortest`` seconds, after each further failure for twice as long, up to
    ``longest``.
    """

    failures: int = 3
    shortest: float = 30.0
    longest: float = 600.0
    _failed: int = 0
    _until: float = float("-inf")

    def allows(self, now: float) -> bool:
        """Whether a request may be made."""
        return now >= self._until

    def succeeded(self) -> None:
        """A request was answered."""
        self._failed = 0

    def failed(self, now: float) -> None:
        """A request failed, or took too long."""
        self._failed += 1
        times = self._failed - self.failures
        if times >= 0:
            pause = min(self.longest, self.shortest * 2 ** min(times, 16))
            self._until = now + pause


@dataclass(slots=True)
class Budget:
    """At most ``burst`` requests at once, and ``rate`` a second on average."""

    burst: float = 32.0
    rate: float = 1.0
    _left: float | None = None
    _at: float = 0.0

    def take(self, now: float) -> bool:
        """Whether one more request may be made; then it counts."""
        if self._left is None:
            self._left, self._at = self.burst, now
        self._left = min(self.burst, self._left + (now - self._at) * self.rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
