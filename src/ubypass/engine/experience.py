# SPDX-License-Identifier: GPL-2.0-only
"""What was found out about gaps with any process of a family.

Processes forked from one another run the same code at the same addresses, and mostly
for the same purpose: what one of them showed need not be tried with each. Holds for
them what it is told, and decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ubypass.engine.blocks import Block
from ubypass.engine.chains import Chains

__all__ = ["Experience"]


@dataclass(frozen=True, slots=True)
class Experience:
    """``chains`` of all traced gaps, and the last block of each site (``found``).

    At most so many ``sites`` are remembered.
    """

    chains: Chains = field(default_factory=Chains)
    sites: int = 256
    found: dict[int, Block] = field(default_factory=dict)

    def tell(self, ip: int, block: Block | None) -> None:
        """A process of the family has blocked a site."""
        if block is not None and (ip in self.found or len(self.found) < self.sites):
            self.found[ip] = block
