# SPDX-License-Identifier: GPL-2.0-only
"""The project's model of costs, as an estimate asks it."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from ubypass.estimate.costs import Costs, Range
from ubypass.region.decode import Decoded

__all__ = ["costs_of"]


def costs_of(name: str | None) -> Costs:
    """Of the model called ``name``, or of this processor. Raises UbError."""
    # Only when it is asked for: it may measure this processor first.
    profile = importlib.import_module("ubypass.cost.gap").profile
    model = importlib.import_module("ubypass.cost.model").model_of(name)

    def saving(ips: Sequence[int], code: Decoded) -> Range:
        return Range.of(model.saving(profile(ips, code)))

    return Costs(saving, model.run_ns, model.name, str(model.describe()))
