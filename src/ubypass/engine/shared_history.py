# SPDX-License-Identifier: GPL-2.0-only
"""Findings about gaps, shared by processes that were forked from one another.

They run the same code at the same addresses, and mostly for the same purpose: a gap
measured in one need not be tried in each. A store only; decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ubypass.abi import SiteKey
from ubypass.engine.site_graph import SiteGraph
from ubypass.engine.suppressions import Suppression

__all__ = ["SharedHistory"]


@dataclass(frozen=True, slots=True)
class SharedHistory:
    """``graph``: all traced gaps; ``suppressions``: the last one of each site.

    At most ``sites`` suppressions are stored.
    """

    graph: SiteGraph = field(default_factory=SiteGraph)
    sites: int = 256
    suppressions: dict[SiteKey, Suppression] = field(default_factory=dict)

    def record(self, site: SiteKey, suppression: Suppression | None) -> None:
        """One of the processes has suppressed a site."""
        known = self.suppressions
        if suppression is not None and (site in known or len(known) < self.sites):
            known[site] = suppression

    def forget(self, site: SiteKey) -> None:
        """One of the processes has lifted its suppression of a site."""
        self.suppressions.pop(site, None)
