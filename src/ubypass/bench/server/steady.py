# SPDX-License-Identifier: GPL-2.0-only
"""When a boosted server has settled.

Nothing new is loaded, shares stand still, and the engine has nothing left to do.
"""

from __future__ import annotations

from dataclasses import dataclass

from ubypass.bench.server.attachment import Figures

__all__ = ["Steady"]


@dataclass(slots=True)
class Steady:
    """Looks at figures, one every now and then.

    Settled once the share of dispatched calls has moved by less than ``tolerance``
    from look to look, nothing was loaded, and the engine was not ``busy`` for more
    than that share of the time, for ``settle`` seconds: long enough for the module to
    let a process rest that has nothing to gain (kernel/rest.c). A look with fewer than
    ``calls`` new calls says nothing.
    """

    tolerance: float = 0.03
    settle: float = 3.0
    busy: float = 0.1
    calls: int = 50
    _last: Figures | None = None
    _share: float = -1.0
    _since: float = 0.0
    _looked: float = 0.0
    _engine_s: float = 0.0

    def look(self, now: float, figures: Figures, engine_s: float) -> float | None:
        """Since when (seconds, as ``now``) all is steady; None: it is not yet.

        ``engine_s``: seconds of CPU time that the engine has used so far.
        """
        if self._last is None:
            self._last, self._since = figures, now
            self._looked, self._engine_s = now, engine_s
            return None
        if engine_s - self._engine_s > self.busy * (now - self._looked):
            self._since = now
        self._looked, self._engine_s = now, engine_s
        calls = figures.calls - self._last.calls
        if calls < self.calls:
            return None
        share = (figures.dispatched - self._last.dispatched) / calls
        moved = abs(share - self._share) >= self.tolerance
        if moved or figures.loads != self._last.loads:
            self._since = now
        self._last, self._share = figures, share
        return self._since if now - self._since >= self.settle else None
