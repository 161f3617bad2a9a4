# SPDX-License-Identifier: GPL-2.0-only
"""The graph of sites: traced gaps as edges, weighted with what each saves.

To enter and to exit a translation costs as much as a dispatch saves, or more, so a run
of one call seldom pays: it has to pass several sites. Where it must end is known before
anything is built. Pure bookkeeping, no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from math import inf

from ubypass.abi import SiteKey
from ubypass.cost.model import Range

__all__ = ["SiteGraph"]

_ENDLESS = Range(inf, inf, inf)

_NOTHING = Range(0.0, 0.0, 0.0)


@dataclass(slots=True)
class SiteGraph:
    """Nodes are sites; an edge holds the saving of its gap, in ns.

    At most ``sites`` nodes have edges, each at most ``successors`` of them.
    """

    sites: int = 256
    successors: int = 8
    _edges: dict[SiteKey, dict[SiteKey, Range]] = field(default_factory=dict)

    def add_edge(self, site: SiteKey, successor: SiteKey, saving: Range) -> None:
        """A gap led from ``site`` to ``successor``; the newest saving counts."""
        edges = self._edges.get(site)
        if edges is None:
            if len(self._edges) >= self.sites:
                return
            edges = self._edges[site] = {}
        if successor in edges or len(edges) < self.successors:
            edges[successor] = saving

    def reached_from(
        self, sites: AbstractSet[SiteKey], ends: Container[SiteKey]
    ) -> set[SiteKey]:
        """Sites that runs from ``sites`` pass, except these; runs end at ``ends``."""
        found: set[SiteKey] = set()
        todo = list(sites)
        while todo:
            for successor in self._edges.get(todo.pop(), ()):
                if successor in found or successor in sites or successor in ends:
                    continue
                found.add(successor)
                todo.append(successor)
        return found

    def savings(self, site: SiteKey) -> tuple[Range, ...]:
        """ns that gaps from ``site`` save, one for each edge."""
        return tuple(self._edges.get(site, {}).values())

    def best_saving(
        self, site: SiteKey, ends: Callable[[SiteKey], bool]
    ) -> Range | None:
        """ns that a run from ``site`` saves at most; None if that is not known.

        Infinite where the graph has a cycle. ``ends(site)``: no run passes this site.
        """
        return self._best(site, ends, frozenset())

    def _best(
        self,
        site: SiteKey,
        ends: Callable[[SiteKey], bool],
        visited: frozenset[SiteKey],
    ) -> Range | None:
        if site in visited:
            return _ENDLESS
        if site not in self._edges:
            return None
        best = _NOTHING
        unknown = False
        for successor, saving in self._edges[site].items():
            rest = (
                _NOTHING
                if ends(successor)
                else self._best(successor, ends, visited | {site})
            )
            if rest is None:
                unknown = True
            else:
                best = best.most(saving + rest)
        return None if unknown and best != _ENDLESS else best
