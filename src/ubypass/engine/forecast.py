# SPDX-License-Identifier: GPL-2.0-only
"""What a gap would cost in a translation, before there is one.

From the way it took once and what it costs natively. Pure arithmetic, no clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["RUN", "Forecast", "Saving"]

#: Instructions that a dispatch saves (``ub bench io``), less those of the dispatch.
_TRANSITION = 180

#: Instructions of getting into a translation and out of it, at least (``overhead`` of
#: ``ub explain`` where the clock counts them).
RUN = 210


@dataclass(frozen=True, slots=True)
class Saving:
    """``counted`` in instructions and ``timed`` in ns; below 0: a loss.

    Both must be bad before anything is given up: times are those of a few gaps, and a
    busy machine makes them longer.
    """

    counted: float = 0.0
    timed: float = 0.0

    def __add__(self, other: Saving) -> Saving:
        return Saving(self.counted + other.counted, self.timed + other.timed)

    def most(self, other: Saving) -> Saving:
        """The better of each."""
        return Saving(max(self.counted, other.counted), max(self.timed, other.timed))


@dataclass(frozen=True, slots=True)
class Forecast:
    """Saving of a dispatch against the growth of the code before it.

    ``transition``: ns that a dispatch saves (see
    :func:`~ubypass.engine.clock.saved_ns`). ``straight``: how much slower code is that
    runs through once, ``turns``: loops, from their second turn on, as a share of its
    native time. Both are what the better translations reach (``ub bench functions``
    and ``gaps``): what is given up here is never tried. ``distinct``: more different
    instructions than that are too many whatever they cost, since they have to be
    translated as well. ``run``: ns of getting in and out, at least (see
    :func:`~ubypass.engine.clock.run_ns`).
    """

    transition: float = 200.0
    straight: float = 0.5
    turns: float = 0.05
    distinct: int = 1200
    run: float = 0.0

    def saving(self, ips: Sequence[int], native_ns: int) -> Saving:
        """What the gap and the call after it save at most.

        ``ips``: addresses of its instructions as they ran; ``native_ns``: time of the
        gap and the transition after it, 0 if unknown.
        """
        different = len(set(ips))
        spent = max(native_ns - self.transition, 0.0)
        once = spent * different / max(len(ips), 1)
        return Saving(
            self._saving(_TRANSITION, different, len(ips) - different),
            self._saving(self.transition, once, spent - once),
        )

    def is_hopeless(self, ips: Sequence[int], native_ns: int) -> bool:
        """Whether a translation of it would lose for sure."""
        if len(set(ips)) > self.distinct:
            return True
        saving = self.saving(ips, native_ns)
        return saving.counted < 0 and saving.timed < 0

    def earns(self, saving: Saving) -> bool:
        """Whether that may be worth a run."""
        return saving.counted >= RUN or saving.timed >= self.run

    def _saving(self, transition: float, once: float, again: float) -> float:
        return transition - self.straight * once - self.turns * again
