# SPDX-License-Identifier: GPL-2.0-only
"""Whether a run from a site can pay, predicted from the site graph.

A run that must end before its gaps have saved the cost of entry and exit is not begun:
its site is suppressed before anything is built, and tried again once its traced paths
lead further after all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from statistics import mean

from ubypass.abi import SiteKey
from ubypass.cost.gap import GapProfile
from ubypass.device.types import Path, Site
from ubypass.device.uapi import SiteVerdict
from ubypass.engine.admission import AdmissionPolicy
from ubypass.engine.profitability import Judgement
from ubypass.engine.site_graph import SiteGraph
from ubypass.engine.suppressions import Suppressions

__all__ = ["RunPredictor"]

#: Calls of a run in which the cold caches at its start no longer matter.
_LONG_RUN = 16

#: Share of a transition that a gap must be predicted to save to be beyond doubt.
_SURE = 0.5

#: The factor by which the time of a gap must exceed its time when it was traced for the
#: gap to count as another one.
_OTHER = 1.5

#: Verdicts of the module on sites that no run passes. A site with few calls is none of
#: them: a traced path that leads there from a hot site was not its usual one.
_ENDS = (SiteVerdict.LONG, SiteVerdict.BUSY)


class RunPredictor:
    """Of one process; suppresses in ``suppressions`` the sites whose runs cannot pay.

    ``graph``: shared by all processes that have the same code.
    """

    def __init__(
        self,
        admission: AdmissionPolicy,
        suppressions: Suppressions,
        graph: SiteGraph | None = None,
    ) -> None:
        self._admission = admission
        self._suppressions = suppressions
        self._graph = graph if graph is not None else SiteGraph()
        self._suppressed: set[SiteKey] = set()
        self._traced_ns: dict[SiteKey, int] = {}

    def add_path(self, path: Path, gap: GapProfile, native_ns: int = 0) -> None:
        """Add the edge of a traced gap to the graph, if the gap ends at a system call.

        ``native_ns``: native time of gaps from its site then; 0: unknown.
        """
        key, following = path.key, path.next_key
        if key is None:
            return
        if native_ns:
            self._traced_ns[key] = native_ns
        if following is not None:
            self._graph.add_edge(key, following, self._admission.saving(gap))

    def is_open(
        self, entries: Iterable[SiteKey], sites: Mapping[SiteKey, Site]
    ) -> bool:
        """Whether the end of runs from some of ``entries`` is unknown.

        Sites of one program become hot, and are traced, one after the other.
        """
        return any(
            self._suppressions.get(key) is None
            and self._graph.best_saving(key, lambda at: self._ends(at, sites)) is None
            for key in entries
        )

    def update(
        self,
        entries: Collection[SiteKey],
        sites: Mapping[SiteKey, Site],
        judgements: Mapping[SiteKey, Judgement],
        now: float,
    ) -> tuple[list[SiteKey], list[SiteKey]]:
        """Suppress those of ``entries`` whose runs cannot pay; lift where they can now.

        Both as lists: suppressed, lifted. A site that was measured to gain is never
        suppressed.
        """
        suppressed, lifted = [], []
        for key in entries:
            suppression = self._suppressions.get(key)
            judged = judgements.get(key)
            gains = judged is not None and judged.gain > 0
            loses = not gains and self._cannot_pay(key, sites)
            if loses and suppression is None:
                native_ns = sites[key].native_ns if key in sites else 0
                reason = "runs from there end before a gain"
                self._suppressions.suppress(key, reason, native_ns, now, barrier=False)
                self._suppressed.add(key)
                suppressed.append(key)
            elif not loses and key in self._suppressed:
                self._suppressed.discard(key)
                if suppression is not None:
                    self._suppressions.lift(key)
                    lifted.append(key)
        return suppressed, lifted

    def is_sure(self, judged: Judgement) -> bool:
        """Whether the site gains although its times show a small loss.

        A gap in a translation is timed at the start of a run, when caches are cold, for
        instance after a periodic signal. In long runs that time is not typical, and the
        cost model is the better estimate as long as the gap is the traced one. A loss
        of more than a transition is trusted: the cost model does not cover dependent
        loads.
        """
        site = judged.site
        transition = self._admission.model.transition.ns.likely
        if judged.saving < -transition:
            return False
        traced_ns = self._traced_ns.get(site.key)
        if traced_ns is not None and site.native_ns > _OTHER * traced_ns:
            return False
        savings = self._graph.savings(site.key)
        least = min((saving.likely for saving in savings), default=0.0)
        return judged.calls >= _LONG_RUN and least >= _SURE * transition

    def saving(self, key: SiteKey) -> float | None:
        """ns that a gap from the site is likely to save: the mean of its traced paths.

        None: no path was traced.
        """
        savings = self._graph.savings(key)
        return mean(saving.likely for saving in savings) if savings else None

    def _cannot_pay(self, key: SiteKey, sites: Mapping[SiteKey, Site]) -> bool:
        best = self._graph.best_saving(key, lambda at: self._ends(at, sites))
        return best is not None and not self._admission.pays_for_run(best)

    def _ends(self, key: SiteKey, sites: Mapping[SiteKey, Site]) -> bool:
        """Whether no run passes the site."""
        suppression = self._suppressions.get(key)
        if suppression is not None and suppression.barrier:
            return True
        site = sites.get(key)
        return site is not None and site.verdict in _ENDS
