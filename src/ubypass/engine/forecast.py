# SPDX-License-Identifier: GPL-2.0-only
"""What a gap would cost in a translation, before there is one.

From the way it took once and what it costs natively. Pure arithmetic, no clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Forecast"]

#: Instructions that a dispatch saves (``ub bench io``), less those of the dispatch.
_TRANSITION = 180


@dataclass(frozen=True, slots=True)
class Forecast:
    """Saving of a dispatch against the growth of the code before it.

    ``transition``: ns that a dispatch saves (see
    :func:`~ubypass.engine.clock.saved_ns`). ``straight``: how much slower code is that
    runs through once, ``turns``: loops, from their second turn on, as a share of its
    native time. Both are what the better translations reach (``ub bench functions``
    and ``gaps``): what is given up here is never tried. ``distinct``: more different
    instructions than that are too many whatever they cost, since they have to be
    translated as well.
    """

    transition: float = 200.0
    straight: float = 0.5
    turns: float = 0.05
    distinct: int = 1200

    def saving(self, ips: Sequence[int], native_ns: int) -> float:
        """ns that the gap saves at most; below 0: it loses.

        ``ips``: addresses of its instructions as they ran; ``native_ns``: time of the
        gap and the transition after it, 0 if unknown.
        """
        different = len(set(ips))
        spent = max(native_ns - self.transition, 0.0)
        once = spent * different / max(len(ips), 1)
        return self._saving(self.transition, once, spent - once)

    def is_hopeless(self, ips: Sequence[int], native_ns: int) -> bool:
        """Whether a translation of it would lose for sure.

        Its time and the number of its instructions must both say so: times are those
        of a few gaps, and a busy machine makes them longer.
        """
        different = len(set(ips))
        if different > self.distinct:
            return True
        counted = self._saving(_TRANSITION, different, len(ips) - different)
        return counted < 0 and self.saving(ips, native_ns) < 0

    def _saving(self, transition: float, once: float, again: float) -> float:
        return transition - self.straight * once - self.turns * again
