# SPDX-License-Identifier: GPL-2.0-only
"""Detection of a boosted server's steady state.

Nothing is loaded, shares are constant, and the engine is idle.
"""

from __future__ import annotations

from dataclasses import dataclass

from ubypass.bench.server.attachment import Figures

__all__ = ["Settled", "Steady"]


@dataclass(frozen=True, slots=True)
class Settled:
    """When the steady state began: ``since`` in seconds, as in :meth:`Steady.look`.

    ``engine_s``: seconds of CPU time that the engine had used by then.
    """

    since: float
    engine_s: float


@dataclass(slots=True)
class Steady:
    """Detects the steady state from periodic looks at figures.

    Reached after ``settle`` seconds in which the share of dispatched calls changed by
    less than ``tolerance`` from look to look, nothing was loaded, and the engine used
    at most the share ``busy`` of the time: long enough for the module to find a process
    idle that has nothing to gain (kernel/idle.c). As long as nothing was ever loaded it
    takes ``undecided`` seconds: the trace of a long gap may have to wait until the CPU
    time of the process pays for it, and nothing is sampled before. That time is part of
    the window of the sample budget (kernel/sample_budget.c). A look with fewer than
    ``calls`` new calls is ignored.
    """

    tolerance: float = 0.03
    settle: float = 3.0
    undecided: float = 10.0
    busy: float = 0.1
    calls: int = 50
    _last: Figures | None = None
    _share: float = -1.0
    _since: Settled = Settled(0.0, 0.0)
    _looked: float = 0.0
    _engine_s: float = 0.0

    def look(self, now: float, figures: Figures, engine_s: float) -> Settled | None:
        """The begin of the steady state; None: not yet reached.

        ``now`` in seconds; ``engine_s``: seconds of CPU time that the engine has used
        so far.
        """
        here = Settled(now, engine_s)
        if self._last is None:
            self._last, self._since = figures, here
            self._looked, self._engine_s = now, engine_s
            return None
        if engine_s - self._engine_s > self.busy * (now - self._looked):
            self._since = here
        self._looked, self._engine_s = now, engine_s
        calls = figures.calls - self._last.calls
        if calls < self.calls:
            return None
        share = (figures.dispatched - self._last.dispatched) / calls
        moved = abs(share - self._share) >= self.tolerance
        if moved or figures.loads != self._last.loads:
            self._since = here
        self._last, self._share = figures, share
        still = self.settle if figures.loads else self.undecided
        return self._since if now - self._since.since >= still else None
