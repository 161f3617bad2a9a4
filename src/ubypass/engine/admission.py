# SPDX-License-Identifier: GPL-2.0-only
"""The admission of gaps to translation, by the cost model, before there is one.

The model is that of this machine's processor, or a named one where times of this
machine are meaningless. No clock, no state.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ubypass.cost.gap import GapProfile
from ubypass.cost.model import DEFAULT, Model, Range, model_of

__all__ = ["EMULATED_DISTINCT", "AdmissionPolicy"]

#: Most different instructions of a gap that is admitted in an emulator: a build there
#: takes ten times as long as on a processor, and more.
EMULATED_DISTINCT: Final = 1200


def _default() -> Model:
    return model_of(DEFAULT)


@dataclass(frozen=True, slots=True)
class AdmissionPolicy:
    """``model``: the cost model; all times are its ns.

    ``model_decides``: nothing will be measured that could correct the model, as in an
    emulator. Otherwise a gap that may gain is admitted on trial, and measured times
    decide. ``max_distinct``: a gap of more different instructions is never admitted,
    since a region holds about as many.
    """

    model: Model = field(default_factory=_default)
    model_decides: bool = False
    max_distinct: int = 4000

    def saving(self, gap: GapProfile) -> Range:
        """ns that the gap and the call after it save; negative: a loss."""
        return self.model.saving(gap)

    def objection(self, gap: GapProfile) -> str:
        """Why the gap is not admitted, for people; "" if it is."""
        if self.is_too_large(gap):
            return f"its gap has too many different instructions ({gap.distinct:,})"
        saving = self._deciding(self.saving(gap))
        if saving >= 0:
            return ""
        loss = f"would lose {-saving:,.0f} ns (model {self.model.name})"
        return f"its gap of {gap.instructions:,} instructions {loss}"

    def is_too_large(self, gap: GapProfile) -> bool:
        """Whether the gap has more different instructions than are ever translated."""
        return gap.distinct > self.max_distinct

    def pays_for_run(self, saving: Range) -> bool:
        """Whether what the gaps of a run save may exceed the cost of the run."""
        run = self.model.run.ns
        cost = run.likely if self.model_decides else run.low
        return self._deciding(saving) >= cost

    def _deciding(self, saving: Range) -> float:
        """The likely saving; the highest one if measurements will decide."""
        return saving.likely if self.model_decides else saving.high
