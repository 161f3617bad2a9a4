# SPDX-License-Identifier: GPL-2.0-only
"""Which site follows which, and what a run along them can save.

Getting in and out of a translation costs as much as a dispatch saves or more, so one
call alone seldom pays: a run has to come through several. Where it has to end is
known before anything is built. Pure bookkeeping, no clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf

from ubypass.cost.model import Range

__all__ = ["Chains"]

_ENDLESS = Range(inf, inf, inf)

_NOTHING = Range(0.0, 0.0, 0.0)


@dataclass(slots=True)
class Chains:
    """Gaps that were traced: by site, the sites that came next and ns that each saves.

    ``sites`` and ``ways`` of each bound what is remembered.
    """

    sites: int = 256
    ways: int = 8
    _ways: dict[int, dict[int, Range]] = field(default_factory=dict)

    def add(self, site: int, after: int, saving: Range) -> None:
        """From ``site`` a gap led to ``after``; both are resume addresses."""
        ways = self._ways.get(site)
        if ways is None:
            if len(self._ways) >= self.sites:
                return
            ways = self._ways[site] = {}
        if after in ways or len(ways) < self.ways:
            ways[after] = saving

    def savings(self, site: int) -> tuple[Range, ...]:
        """ns that gaps from ``site`` save, one for each way that is known."""
        return tuple(self._ways.get(site, {}).values())

    def best(self, site: int, ends: Callable[[int], bool]) -> Range | None:
        """What a run from ``site`` saves at most; None: nobody knows.

        ``ends`` says of a site that no run goes on from it.
        """
        return self._best(site, ends, frozenset())

    def _best(
        self, site: int, ends: Callable[[int], bool], seen: frozenset[int]
    ) -> Range | None:
        if site in seen:
            return _ENDLESS
        if site not in self._ways:
            return None
        most = _NOTHING
        unknown = False
        for after, saving in self._ways[site].items():
            rest = _NOTHING if ends(after) else self._best(after, ends, seen | {site})
            if rest is None:
                unknown = True
            else:
                most = most.most(saving + rest)
        return None if unknown and most != _ENDLESS else most
