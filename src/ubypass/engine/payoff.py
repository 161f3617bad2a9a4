# SPDX-License-Identifier: GPL-2.0-only
"""Whether a region earns more than it costs, from its counters.

A run costs about one transition (register loads and stores, the way in and out),
and each dispatch saves about one. So a region that dispatches less than once per run
makes the program slower.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ubypass.device.types import Stats

__all__ = ["Payoff"]


@dataclass(slots=True)
class Payoff:
    """Judges samples of the counters of one process, about one a second.

    ``runs`` is how many runs a window must have to be judged, ``ratio`` how many
    dispatches each must bring, ``strikes`` how many bad windows in a row condemn a
    region, and ``patience`` how many do while it still grows.
    """

    runs: int = 500
    ratio: float = 1.0
    strikes: int = 2
    patience: int = 6
    _base: Stats = field(default_factory=Stats)
    _bad: int = 0

    def forgive(self, stats: Stats) -> None:
        """Start anew, after a loss."""
        self._base = stats
        self._bad = 0

    def loses(self, stats: Stats, *, growing: bool = False) -> bool:
        """Take a sample; True once the regions have lost often enough."""
        runs = stats.runs - self._base.runs
        if runs < self.runs:
            return False
        dispatched = stats.dispatched - self._base.dispatched
        self._base = stats
        self._bad = self._bad + 1 if dispatched < runs * self.ratio else 0
        return self._bad >= (self.patience if growing else self.strikes)
