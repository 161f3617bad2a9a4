# SPDX-License-Identifier: GPL-2.0-only
"""When user mode is sampled to find hot code, and when sampling cannot find any.

Samples are taken for a short time only, since they slow the program down. Times are
seconds and come in as arguments.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from ubypass.device.types import Stats
from ubypass.engine.ports import SamplerLike

__all__ = ["Sampling"]

#: Dispatched calls for each native one above which there is nothing left to find.
_CONVERGED = 20


class Sampling:
    """Of one process. ``open_sampler`` starts a sampler; None: never.

    A period lasts ``longest`` at most, and ``rest`` lies between two. ``stats`` reads
    the newest counters.
    """

    def __init__(
        self,
        open_sampler: Callable[[], SamplerLike] | None,
        stats: Callable[[], Stats],
        *,
        longest: float,
        rest: float,
    ) -> None:
        self.open_sampler = open_sampler
        self._stats = stats
        self._longest = longest
        self._rest = rest
        self._sampler: SamplerLike | None = None
        self._ends = -math.inf
        self._last = Stats()
        self._converged = False

    @property
    def is_on(self) -> bool:
        """Whether samples are taken now."""
        return self._sampler is not None

    @property
    def converged(self) -> bool:
        """Whether nearly all calls were dispatched, between the last two counts.

        Sampling then finds nothing, and slows the program down by half a percent.
        """
        return self._converged

    def is_over(self, now: float) -> bool:
        """Whether the period has lasted as long as one may."""
        return now >= self._ends

    def take(self) -> Mapping[int, int]:
        """Samples since the last time: by address, how often."""
        return self._sampler.take() if self._sampler is not None else {}

    def count(self) -> None:
        """Compare the newest counters with those of the last count."""
        before, after = self._last, self._stats()
        self._last = after
        native = after.native - before.native
        dispatched = after.dispatched - before.dispatched
        self._converged = dispatched > _CONVERGED * native

    def start(self, now: float) -> None:
        """Begin a period, if there may be something to find and the rest is over."""
        if self.open_sampler is None:
            return
        self.count()
        if not self._converged and now >= self._ends + self._rest:
            self._sampler = self.open_sampler()
            self._ends = now + self._longest

    def stop(self) -> None:
        """End the period, if there is one."""
        if self._sampler is not None:
            self._sampler.close()
            self._sampler = None
