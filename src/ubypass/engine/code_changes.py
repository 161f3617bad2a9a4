# SPDX-License-Identifier: GPL-2.0-only
"""Regions that are lost because their code changed, and when that happens too often.

Times are seconds and come in as arguments.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CodeChanges"]


@dataclass(slots=True)
class CodeChanges:
    """Each loss is followed by a pause, the first one of ``pause``, each twice as long.

    After ``limit`` losses the code counts as unstable. Losses more than ``reset_after``
    apart do not add up: pages of code move without a change now and then.
    """

    limit: int
    pause: float
    reset_after: float
    _losses: int = 0
    _last: float = 0.0

    def record(self, now: float) -> float | None:
        """A region was lost; the seconds to wait for the next build, None: for good."""
        if now - self._last > self.reset_after:
            self._losses = 0
        self._last = now
        self._losses += 1
        if self._losses > self.limit:
            return None
        return self.pause * 2.0 ** (self._losses - 1)
