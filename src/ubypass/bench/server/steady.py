# SPDX-License-Identifier: GPL-2.0-only
"""When a boosted server has settled: nothing new is loaded and shares stand still."""

from __future__ import annotations

from dataclasses import dataclass

from ubypass.bench.server.attachment import Figures

__all__ = ["Steady"]


@dataclass(slots=True)
class Steady:
    """Looks at figures, one every now and then.

    Settled once the share of dispatched calls has moved by less than ``tolerance``
    from look to look, and nothing was loaded, for ``settle`` seconds; ``patience``
    seconds while nothing at all is dispatched. A look with fewer than ``calls`` new
    calls says nothing.
    """

    tolerance: float = 0.03
    settle: float = 1.5
    patience: float = 3.0
    calls: int = 50
    _last: Figures | None = None
    _share: float = -1.0
    _since: float = 0.0

    def look(self, now: float, figures: Figures) -> float | None:
        """Since when (seconds, as ``now``) all is steady; None: it is not yet."""
        if self._last is None:
            self._last, self._since = figures, now
            return None
        calls = figures.calls - self._last.calls
        if calls < self.calls:
            return None
        share = (figures.dispatched - self._last.dispatched) / calls
        moved = abs(share - self._share) >= self.tolerance
        if moved or figures.loads != self._last.loads:
            self._since = now
        self._last, self._share = figures, share
        enough = self.settle if figures.dispatched else self.patience
        return self._since if now - self._since >= enough else None
