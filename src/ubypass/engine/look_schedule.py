# SPDX-License-Identifier: GPL-2.0-only
"""When to look at the counters of a process: often while its regions grow.

Times are seconds and come in as arguments.
"""

from __future__ import annotations

import math

__all__ = ["LookSchedule"]

#: Waits between builds after which regions count as settled.
_SETTLED = 3


class LookSchedule:
    """When to look at the counters, and, at some of these looks, to judge the sites.

    ``interval``: between judgements at first, up to ``longest`` once nothing changes
    any more; ``sampled``: between looks while user mode is sampled; ``quiet``: time
    without news or a load after which regions count as grown.
    """

    def __init__(
        self, interval: float, longest: float, *, sampled: float, quiet: float
    ) -> None:
        self._shortest = interval
        self._longest = longest
        self._sampled_interval = sampled
        self._quiet = quiet
        self._interval = interval
        self._due: float | None = None
        self._judging_due = math.inf
        self._last_news = 0.0
        self._last_load = 0.0

    @property
    def due(self) -> float | None:
        """When the next look is due; None: nothing was built yet."""
        return self._due

    def is_judging_due(self, now: float) -> bool:
        """Whether this look has to judge the sites."""
        return now >= self._judging_due

    def is_growing(self, now: float) -> bool:
        """Whether there was news or a load of late."""
        return now - max(self._last_news, self._last_load) <= self._quiet

    def is_settled(self, now: float, wait: float) -> bool:
        """Whether the last load is long ago; ``wait``: time between builds now."""
        return now - self._last_load >= max(self._shortest, _SETTLED * wait)

    def news(self, now: float) -> None:
        """Something was learned: look often."""
        self._last_news = now
        self._interval = self._shortest

    def loaded(self, now: float) -> None:
        """A region was loaded: look often."""
        self._last_load = now
        self._interval = self._shortest

    def built(self, now: float) -> None:
        """A build has ended: look again soon, even if looks have become rare."""
        self._judging_due = min(self._judging_due, now + self._interval)
        self._due = min(now + self._sampled_interval, self._judging_due)

    def judged(self, now: float, often: bool) -> None:
        """The sites were judged; ``often``: something has changed, or may soon."""
        if often:
            self._interval = self._shortest
        else:
            self._interval = min(self._longest, self._interval * 1.5)
        self._judging_due = now + self._interval

    def looked(self, now: float, sampled: bool) -> None:
        """A look has ended; ``sampled``: user mode is sampled."""
        soon = now + self._sampled_interval if sampled else self._judging_due
        self._due = min(soon, self._judging_due)
