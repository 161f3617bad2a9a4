# SPDX-License-Identifier: GPL-2.0-only
"""Whether a run from a site can pay, predicted from the site graph.

A run that must end before its gaps have saved the cost of entry and exit is not begun:
its site is suppressed before anything is built, and tried again once its traced paths
lead further after all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from statistics import mean

from ubypass.cost.gap import GapProfile
from ubypass.device.types import Path, Site
from ubypass.device.uapi import SiteVerdict
from ubypass.engine.admission import AdmissionPolicy
from ubypass.engine.profitability import Judgement
from ubypass.engine.site_graph import SiteGraph
from ubypass.engine.suppressions import Suppressions
from ubypass.errors import UbError
from ubypass.region.reader import CodeReader

__all__ = ["RunPredictor"]

_SYSCALL = b"\x0f\x05"

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
        self._suppressed: set[int] = set()
        self._traced_ns: dict[int, int] = {}

    def add_path(
        self, path: Path, gap: GapProfile, memory: CodeReader, native_ns: int = 0
    ) -> None:
        """Add the edge of a traced gap to the graph, if the gap ends at a system call.

        ``native_ns``: native time of gaps from its site then; 0: unknown.
        """
        if native_ns:
            self._traced_ns[path.ip] = native_ns
        last = path.ips[-1] if path.ips else 0
        try:
            ends_in_call = memory.read(last, len(_SYSCALL)) == _SYSCALL
        except UbError:
            return
        if ends_in_call:
            saving = self._admission.saving(gap)
            self._graph.add_edge(path.ip, last + len(_SYSCALL), saving)

    def is_open(self, entries: Iterable[int], sites: Mapping[int, Site]) -> bool:
        """Whether the end of runs from some of ``entries`` is unknown.

        Sites of one program become hot, and are traced, one after the other.
        """
        return any(
            self._suppressions.get(ip) is None
            and self._graph.best_saving(ip, lambda at: self._ends(at, sites)) is None
            for ip in entries
        )

    def update(
        self,
        entries: Collection[int],
        sites: Mapping[int, Site],
        judgements: Mapping[int, Judgement],
        now: float,
    ) -> tuple[list[int], list[int]]:
        """Suppress those of ``entries`` whose runs cannot pay; lift where they can now.

        Both as lists: suppressed, lifted. A site that was measured to gain is never
        suppressed.
        """
        suppressed, lifted = [], []
        for ip in entries:
            suppression = self._suppressions.get(ip)
            judged = judgements.get(ip)
            gains = judged is not None and judged.gain > 0
            loses = not gains and self._cannot_pay(ip, sites)
            if loses and suppression is None:
                native_ns = sites[ip].native_ns if ip in sites else 0
                reason = "runs from there end before a gain"
                self._suppressions.suppress(ip, reason, native_ns, now, barrier=False)
                self._suppressed.add(ip)
                suppressed.append(ip)
            elif not loses and ip in self._suppressed:
                self._suppressed.discard(ip)
                if suppression is not None:
                    self._suppressions.lift(ip)
                    lifted.append(ip)
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
        traced_ns = self._traced_ns.get(site.ip)
        if traced_ns is not None and site.native_ns > _OTHER * traced_ns:
            return False
        savings = self._graph.savings(judged.site.ip)
        least = min((saving.likely for saving in savings), default=0.0)
        return judged.calls >= _LONG_RUN and least >= _SURE * transition

    def saving(self, ip: int) -> float | None:
        """ns that a gap from the site is likely to save: the mean of its traced paths.

        None: no path was traced.
        """
        savings = self._graph.savings(ip)
        return mean(saving.likely for saving in savings) if savings else None

    def _cannot_pay(self, ip: int, sites: Mapping[int, Site]) -> bool:
        best = self._graph.best_saving(ip, lambda at: self._ends(at, sites))
        return best is not None and not self._admission.pays_for_run(best)

    def _ends(self, ip: int, sites: Mapping[int, Site]) -> bool:
        """Whether no run passes the site."""
        suppression = self._suppressions.get(ip)
        if suppression is not None and suppression.barrier:
            return True
        site = sites.get(ip)
        return site is not None and site.verdict in _ENDS
