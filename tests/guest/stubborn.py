# SPDX-License-Identifier: GPL-2.0-only
"""``ub`` that goes on boosting what does not pay off.

Emulated, little pays off; but what a server is put through while it is boosted shows
nothing if it is not.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping

from ubypass.cli.main import main
from ubypass.device.types import Site
from ubypass.engine import target
from ubypass.engine.payoff import Judgement, Payoff

__all__ = ["NoVerdict"]


class NoVerdict(Payoff):
    """Never knows enough of a site to judge it."""

    def look(
        self, sites: Mapping[int, Site], entries: Collection[int]
    ) -> list[Judgement]:
        return []


if __name__ == "__main__":
    vars(target)["Payoff"] = NoVerdict
    sys.exit(main())
