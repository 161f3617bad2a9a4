# SPDX-License-Identifier: GPL-2.0-only
"""When to rebuild: soon at first, then at growing intervals.

Pure arithmetic on times in seconds, which come in as arguments.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Backoff"]


@dataclass(slots=True)
class Backoff:
    """Spaces out rebuilds.

    Requests that arrive during a wait are served by one build. The wait starts at
    ``shortest`` and grows by the factor ``growth`` with each build, up to ``longest``,
    but is at least as long as the CPU time of the last build, so that builds use half
    of a CPU at most. After ``quiet`` seconds without a request it is short again: a new
    phase of the program is followed as fast as its start.
    """

    shortest: float = 0.05
    longest: float = 2.0
    growth: float = 1.25
    quiet: float = 5.0
    _wait: float = 0.0
    _not_before: float = 0.0
    _due: float | None = None
    _last_request: float = 0.0

    def request(self, now: float) -> None:
        """Ask for a build, which becomes due after the wait."""
        if now - self._last_request > self.quiet:
            self._wait = 0.0
        self._last_request = now
        if self._due is None:
            self._due = max(now, self._not_before)

    def delay(self, now: float, seconds: float) -> None:
        """Ask for a build, but not within ``seconds``."""
        self._not_before = max(self._not_before, now + seconds)
        self._due = self._not_before

    @property
    def wait(self) -> float:
        """Seconds between builds at present."""
        return self._wait

    @property
    def due(self) -> float | None:
        """When the next build is due; None if none was requested."""
        return self._due

    def started(self) -> None:
        """A build begins: a request from now on is for the next one."""
        self._due = None

    def finished(self, now: float, seconds: float) -> None:
        """A build that took ``seconds`` of CPU time has ended."""
        grown = max(self.shortest, self._wait * self.growth)
        self._wait = min(self.longest, grown)
        self._not_before = now + max(self._wait, seconds)
        if self._due is not None:
            self._due = max(self._due, self._not_before)
