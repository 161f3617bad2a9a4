# SPDX-License-Identifier: GPL-2.0-only
"""What gaps will save and what runs cost, before there is a translation.

By the model of the processor that decides: of this one, or of a named one where the
clock means nothing. No clock, no state.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ubypass.cost.gap import GapProfile
from ubypass.cost.model import DEFAULT, Model, Range, model_of

__all__ = ["Forecast"]


def _default() -> Model:
    return model_of(DEFAULT)


@dataclass(frozen=True, slots=True)
class Forecast:
    """``model``: all times are its ns. ``is_final``: nothing will be measured that
    could correct it, as in emulators; else what may gain is tried, and times decide.
    ``distinct``: gaps of more different instructions than that are too many whatever
    they save, since a region holds about as many.
    """

    model: Model = field(default_factory=_default)
    is_final: bool = False
    distinct: int = 1200

    def saving(self, gap: GapProfile) -> Range:
        """ns that the gap and the call after it save; below 0: a loss."""
        return self.model.saving(gap)

    def objection(self, gap: GapProfile) -> str:
        """Why the gap must not be translated, for people; "" if it may be."""
        if self.is_too_large(gap):
            return f"its gap has {gap.distinct:,} different instructions, too many"
        hoped = self._hoped(self.saving(gap))
        if hoped >= 0:
            return ""
        loss = f"would lose {-hoped:,.0f} ns (model {self.model.name})"
        return f"its gap of {gap.instructions:,} instructions {loss}"

    def is_too_large(self, gap: GapProfile) -> bool:
        """Whether it has more different instructions than are ever translated."""
        return gap.distinct > self.distinct

    def earns(self, saving: Range) -> bool:
        """Whether what the gaps of a run save may be worth the run."""
        run = self.model.run.ns
        cost = run.likely if self.is_final else run.low
        return self._hoped(saving) >= cost

    def _hoped(self, saving: Range) -> float:
        """What is tried until it is measured need not be likely."""
        return saving.likely if self.is_final else saving.high
