# SPDX-License-Identifier: GPL-2.0-only
"""Makes the decision for each site of one process, from all evidence.

Evidence comes in as it is found: traced paths, verdicts of the module, judgements, ends
of trials, and findings in relatives of the process. Each method that takes evidence
returns the sites with changed decisions; the caller has their regions built or dropped.
Times are seconds and come in as arguments.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from ubypass.cost.gap import GapProfile
from ubypass.device.types import Path, Site
from ubypass.device.uapi import Decline, SiteVerdict
from ubypass.engine.admission import AdmissionPolicy
from ubypass.engine.decision import (
    Decision,
    Evidence,
    Native,
    Probe,
    decide,
    is_losing,
    loss,
)
from ubypass.engine.module_state import ModuleState
from ubypass.engine.prices import Measured, Modelled, Prices
from ubypass.engine.profile import Profile
from ubypass.engine.profitability import Judgement, Profitability
from ubypass.engine.run_prediction import RunPredictor
from ubypass.engine.shared_history import SharedHistory
from ubypass.engine.suppressions import Suppressions
from ubypass.engine.trial import Finding, Verdict
from ubypass.region.reader import CodeReader

__all__ = ["Changes", "SiteDecisions"]

#: Verdicts of the module after which the native time of a site is reliable.
_RELIABLE = (SiteVerdict.HOT, SiteVerdict.RARE, SiteVerdict.ENTRY)

_AGAIN = Probe("to be tested again")

#: Sites whose decision has changed, in order.
Changes = list[tuple[int, Decision]]


class SiteDecisions:
    """Of one process: ``suppressions`` and ``judgements`` by site, ``prices`` of gaps.

    ``history`` is shared by all processes with the same code. Reads ``profile`` and
    ``module``; changes of the profile are left to its owner.
    """

    def __init__(
        self,
        admission: AdmissionPolicy,
        profile: Profile,
        module: ModuleState,
        history: SharedHistory,
    ) -> None:
        self.suppressions = Suppressions()
        self.judgements: dict[int, Judgement] = {}
        self.history = history
        self._admission = admission
        self._profile = profile
        self._module = module
        self._predictor = RunPredictor(admission, self.suppressions, history.graph)
        self.prices: Prices = (
            Modelled(admission.model, self._predictor.saving)
            if admission.model_decides
            else Measured(admission.model)
        )
        self._profitability = Profitability(self.prices)

    # ---- the decision -----------------------------------------------------------

    def decide(
        self,
        site: Site,
        *,
        is_entry: bool = False,
        on_trial: bool = False,
        declined_for: Decline = Decline.NONE,
    ) -> Decision:
        """The present decision for ``site``.

        ``is_entry``: a live region has an entry there; ``on_trial``: that region's
        worth is still being measured; ``declined_for``: why the module declines all
        threads of the process.
        """
        suppression = self.suppressions.get(site.ip)
        return decide(
            Evidence(site.verdict, declined_for, suppression, is_entry, on_trial)
        )

    def is_suppressed(self, ip: int) -> bool:
        """Whether findings about the site leave it native."""
        return self.suppressions.get(ip) is not None

    def is_sure(self, judged: Judgement) -> bool:
        """Whether the site gains, though its measured times show a small loss."""
        return self._predictor.is_sure(judged)

    def is_open(self) -> bool:
        """Whether the traced paths of some entry do not show yet where runs end."""
        return self._predictor.is_open(self._profile.entries, self._module.sites)

    def mean_prices(self, entries: Iterable[int]) -> tuple[float | None, float | None]:
        """Mean ns that a dispatched call of ``entries`` saves, and that a run costs."""
        return self._profitability.mean_prices(self.judgements, entries)

    # ---- before there is a region -------------------------------------------------

    def admit(self, path: Path, gap: GapProfile, memory: CodeReader) -> bool:
        """Whether a traced gap may be translated.

        A site of several calls is admitted although one of its paths would lose: runs
        pass through all of them, and a missing one would end them, which costs more.
        """
        native_ns = self._module.native_ns(path.ip)
        self._predictor.add_path(path, gap, memory, native_ns)
        if self._admission.is_too_large(gap):
            return False
        several = self._profile.makes_several_calls(path.ip)
        return several or not self._admission.objection(gap)

    def reject(self, ip: int, gap: GapProfile) -> Changes:
        """A gap from ``ip`` was not admitted."""
        if self._profile.makes_several_calls(ip) or self.is_suppressed(ip):
            return []
        native_ns = self._module.native_ns(ip)
        objection = self._admission.objection(gap)
        self.suppressions.suppress_long(ip, native_ns, objection)
        return self._suppressed(ip, tell=True)

    def readmit(self, ip: int) -> Changes:
        """A further traced path from ``ip`` was admitted: its first one may be rare.

        The site is tried if its paths together gain. Where gaps are measured, the trial
        decides.
        """
        saving = self._predictor.saving(ip)
        if self._admission.model_decides and (saving is None or saving < 0):
            return []
        if not self.suppressions.lift_first_path(ip):
            return []
        self.history.forget(ip)
        return [(ip, _AGAIN)]

    def add_calls(self, ip: int) -> Changes:
        """The site also makes other calls: its long path may be that of only one."""
        if ip not in self.suppressions.barriers() or ip not in self._profile.entries:
            return []
        self.suppressions.lift(ip)
        return [(ip, _AGAIN)]

    def predict(self, now: float) -> Changes:
        """Entries that lost in a relative, or whose runs cannot pay, or now can."""
        changes: Changes = []
        entries, sites = self._profile.entries, self._module.sites
        for ip in entries:
            other = self.history.suppressions.get(ip)
            site = sites.get(ip)
            judged = self.judgements.get(ip)
            if other is None or site is None or (judged and judged.gain > 0):
                continue
            if self.suppressions.inherit(ip, site.native_ns, other, now):
                changes += self._suppressed(ip)
        suppressed, lifted = self._predictor.update(
            entries, sites, self.judgements, now
        )
        changes += [(ip, _AGAIN) for ip in lifted]
        for ip in suppressed:
            changes += self._suppressed(ip)
        return changes

    # ---- what the module finds out --------------------------------------------------

    def review(self, now: float) -> Changes:
        """Sites that the module finds too long; suppressed ones that are due again."""
        changes: Changes = []
        for ip, site in self._module.sites.items():
            if site.verdict is SiteVerdict.LONG:
                if not self.is_suppressed(ip):
                    self.suppressions.suppress_long(ip, site.native_ns)
                    changes += self._suppressed(ip)
            elif site.verdict in _RELIABLE and self.suppressions.review(
                ip, site.native_ns, now, hot=site.verdict is SiteVerdict.HOT
            ):
                self._profitability.reset([ip])
                changes.append((ip, _AGAIN))
        return changes

    # ---- what runs gain -------------------------------------------------------------

    def judge(
        self, sites: Mapping[int, Site], entries: Collection[int]
    ) -> list[Judgement]:
        """Judge the entries of one region that have enough measurements."""
        judged = self._profitability.judge(sites, entries)
        self.add_judgements(judged)
        return judged

    def add_judgements(self, judged: Iterable[Judgement]) -> None:
        """These are the newest ones."""
        self.judgements.update((each.site.ip, each) for each in judged)

    def suppress_losing(
        self, judged: Iterable[Judgement], now: float, *, settled: bool
    ) -> Changes:
        """Suppress the entries of one region that lose; ``settled``: it has grown."""
        changes: Changes = []
        for each in judged:
            if is_losing(each, settled=settled) and not self.is_sure(each):
                ip, native_ns = each.site.ip, each.site.native_ns
                reason = loss(each, self._admission)
                barrier = each.saving < 0
                self.suppressions.suppress(ip, reason, native_ns, now, barrier)
                changes += self._suppressed(ip, tell=True)
        return changes

    def give_up(self, finding: Finding, now: float) -> None:
        """A region on trial loses, or its worth could not be found out: suppress it.

        If single entries lose, those; otherwise all of its entries.
        """
        bad = {x.site.ip: x for x in finding.judged if x.gain <= 0}
        for ip in finding.group.live_entries:
            native_ns = self._module.native_ns(ip)
            if ip in bad:
                barrier = bad[ip].saving < 0
                reason = loss(bad[ip], self._admission)
                self.suppressions.suppress(ip, reason, native_ns, now, barrier)
            elif not bad:
                reason = "runs from there lose"
                if finding.verdict is Verdict.UNKNOWN:
                    reason = "the trial of runs from there was inconclusive"
                self.suppressions.suppress(ip, reason, native_ns, now, barrier=False)
            self.history.record(ip, self.suppressions.get(ip))

    def _suppressed(self, ip: int, *, tell: bool = False) -> Changes:
        """The change for a site just suppressed; ``tell``: record it for relatives."""
        suppression = self.suppressions.get(ip)
        assert suppression is not None
        if tell:
            self.history.record(ip, suppression)
        reason, until = suppression.reason, suppression.until
        return [(ip, Native(reason, until, suppression.barrier))]
