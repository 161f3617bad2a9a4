# SPDX-License-Identifier: GPL-2.0-only
"""A model of costs to test with: a dispatch saves a bit, and instructions cost it.

``python -m tests.estimate.standin WORD...`` is ``ub`` with it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

from ubypass.estimate.costs import Costs, Range
from ubypass.region.decode import Decoded

__all__ = ["RUN_NS", "costs", "install"]

RUN_NS = 60.0
_SAVED_NS = 100.0
_SLOWER = 0.02  # ns for each instruction


def costs() -> Costs:
    """What a gap saves is known in advance."""

    def saving(ips: Sequence[int], code: Decoded) -> Range:
        assert code.at(ips[0]) is not None
        likely = _SAVED_NS - _SLOWER * len(ips)
        return Range(likely - 20, likely, likely + 20)

    return Costs(saving, RUN_NS, "stand-in", "for tests")


@dataclass(frozen=True)
class _Model:
    name: str = "stand-in"
    run_ns: float = RUN_NS

    def describe(self) -> str:
        return "for tests"

    def saving(self, gap: tuple[Sequence[int], Decoded]) -> Range:
        return costs().saving(*gap)


def install() -> None:
    """In the place of ``ubypass.cost``."""
    gap, model = ModuleType("ubypass.cost.gap"), ModuleType("ubypass.cost.model")
    setattr(gap, "profile", lambda ips, code: (ips, code))  # noqa: B010
    setattr(model, "model_of", lambda name: _Model())  # noqa: B010
    sys.modules["ubypass.cost"] = ModuleType("ubypass.cost")
    sys.modules["ubypass.cost.gap"] = gap
    sys.modules["ubypass.cost.model"] = model


if __name__ == "__main__":
    install()
    from ubypass.cli.main import main

    sys.exit(main(sys.argv[1:]))
