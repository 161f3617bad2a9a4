# SPDX-License-Identifier: GPL-2.0-only
"""When to build a region again: soon at first, then ever more rarely.

Pure arithmetic on times in seconds; owns no clock, so tests need none.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Pace"]


@dataclass(slots=True)
class Pace:
    """Spaces out rebuilds.

    News that arrives while we wait is built together. The wait starts at
    ``shortest`` and grows by ``growth`` with each build up to ``longest``, but is at
    least as long as the last build took of a CPU, so that at most half of one is used.
    After ``quiet`` seconds without news it is short again: a program that enters
    a new phase is followed as fast as at its start.
    """

    shortest: float = 0.05
    longest: float = 2.0
    growth: float = 1.25
    quiet: float = 5.0
    _wait: float = 0.0
    _not_before: float = 0.0
    _due: float | None = None
    _last_news: float = 0.0

    def news(self, now: float) -> None:
        """Something was learned: a build becomes due."""
        if now - self._last_news > self.quiet:
            self._wait = 0.0
        self._last_news = now
        if self._due is None:
            self._due = max(now, self._not_before)

    def pause(self, now: float, seconds: float) -> None:
        """Build again, but only after ``seconds``."""
        self._not_before = max(self._not_before, now + seconds)
        self._due = self._not_before

    @property
    def wait(self) -> float:
        """Seconds between builds at present."""
        return self._wait

    @property
    def due(self) -> float | None:
        """When the next build is due; None while there is no news."""
        return self._due

    def started(self) -> None:
        """A build begins: what comes from now on is news again."""
        self._due = None

    def finished(self, now: float, seconds: float) -> None:
        """A build that took ``seconds`` of CPU time has ended."""
        grown = max(self.shortest, self._wait * self.growth)
        self._wait = min(self.longest, grown)
        self._not_before = now + max(self._wait, seconds)
        if self._due is not None:
            self._due = max(self._due, self._not_before)
