# SPDX-License-Identifier: GPL-2.0-only
"""Makes the decision for each site of one process, from all evidence.

Evidence comes in as it is found: traced paths, verdicts of the module, judgements, ends
of trials, and findings in relatives of the process. Each method that takes evidence
returns the sites with changed decisions; the caller has their regions built or dropped.
Times are seconds and come in as arguments.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from ubypass.abi import SiteKey
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

__all__ = ["Changes", "SiteDecisions"]

#: Verdicts of the module after which the native time of a site is reliable.
_RELIABLE = (SiteVerdict.HOT, SiteVerdict.RARE, SiteVerdict.ENTRY)

_AGAIN = Probe("to be tested again")

#: Sites whose decision has changed, in order.
Changes = list[tuple[SiteKey, Decision]]


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
        self.judgements: dict[SiteKey, Judgement] = {}
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
        suppression = self.suppressions.get(site.key)
        return decide(
            Evidence(site.verdict, declined_for, suppression, is_entry, on_trial)
        )

    def is_suppressed(self, key: SiteKey) -> bool:
        """Whether findings about the site leave it native."""
        return self.suppressions.get(key) is not None

    def is_sure(self, judged: Judgement) -> bool:
        """Whether the site gains, though its measured times show a small loss."""
        return self._predictor.is_sure(judged)

    def is_open(self) -> bool:
        """Whether the traced paths of some entry do not show yet where runs end."""
        return self._predictor.is_open(self._profile.entries, self._module.sites)

    def mean_prices(
        self, entries: Iterable[SiteKey]
    ) -> tuple[float | None, float | None]:
        """Mean ns that a dispatched call of ``entries`` saves, and that a run costs."""
        return self._profitability.mean_prices(self.judgements, entries)

    # ---- before there is a region -------------------------------------------------

    def admit(self, path: Path, gap: GapProfile) -> bool:
        """Whether a traced gap, not the rest of one, may be translated."""
        assert path.key is not None
        native_ns = self._module.native_ns(path.key)
        self._predictor.add_path(path, gap, native_ns)
        return not self._admission.objection(gap)

    def reject(self, key: SiteKey, gap: GapProfile) -> Changes:
        """A gap from the site was not admitted."""
        if self.is_suppressed(key):
            return []
        native_ns = self._module.native_ns(key)
        objection = self._admission.objection(gap)
        self.suppressions.suppress_long(key, native_ns, objection)
        return self._suppressed(key, tell=True)

    def readmit(self, key: SiteKey) -> Changes:
        """A further traced path from the site was admitted: its first one may be rare.

        The site is tried if its paths together gain. Where gaps are measured, the trial
        decides.
        """
        saving = self._predictor.saving(key)
        if self._admission.model_decides and (saving is None or saving < 0):
            return []
        if not self.suppressions.lift_first_path(key):
            return []
        self.history.forget(key)
        return [(key, _AGAIN)]

    def predict(self, now: float) -> Changes:
        """Entries that lost in a relative, or whose runs cannot pay, or now can."""
        changes: Changes = []
        entries, sites = self._profile.entries, self._module.sites
        for key in entries:
            other = self.history.suppressions.get(key)
            site = sites.get(key)
            judged = self.judgements.get(key)
            if other is None or site is None or (judged and judged.gain > 0):
                continue
            if self.suppressions.inherit(key, site.native_ns, other, now):
                changes += self._suppressed(key)
        suppressed, lifted = self._predictor.update(
            entries, sites, self.judgements, now
        )
        changes += [(key, _AGAIN) for key in lifted]
        for key in suppressed:
            changes += self._suppressed(key)
        return changes

    # ---- what the module finds out --------------------------------------------------

    def review(self, now: float) -> Changes:
        """Sites that the module finds too long; suppressed ones that are due again."""
        changes: Changes = []
        for key, site in self._module.sites.items():
            if site.verdict is SiteVerdict.LONG:
                if not self.is_suppressed(key):
                    self.suppressions.suppress_long(key, site.native_ns)
                    changes += self._suppressed(key)
            elif site.verdict in _RELIABLE and self.suppressions.review(
                key, site.native_ns, now, hot=site.verdict is SiteVerdict.HOT
            ):
                self._profitability.reset([key])
                changes.append((key, _AGAIN))
        return changes

    # ---- what runs gain -------------------------------------------------------------

    def judge(
        self, sites: Mapping[SiteKey, Site], entries: Collection[SiteKey]
    ) -> list[Judgement]:
        """Judge the entries of one region that have enough measurements."""
        judged = self._profitability.judge(sites, entries)
        self.add_judgements(judged)
        return judged

    def add_judgements(self, judged: Iterable[Judgement]) -> None:
        """These are the newest ones."""
        self.judgements.update((each.site.key, each) for each in judged)

    def suppress_losing(
        self, judged: Iterable[Judgement], now: float, *, settled: bool
    ) -> Changes:
        """Suppress the entries of one region that lose; ``settled``: it has grown."""
        changes: Changes = []
        for each in judged:
            if is_losing(each, settled=settled) and not self.is_sure(each):
                key, native_ns = each.site.key, each.site.native_ns
                reason = loss(each, self._admission)
                barrier = each.saving < 0
                self.suppressions.suppress(key, reason, native_ns, now, barrier)
                changes += self._suppressed(key, tell=True)
        return changes

    def give_up(self, finding: Finding, now: float) -> None:
        """A region on trial loses, or its worth could not be found out: suppress it.

        If single entries lose, those; otherwise all of its entries.
        """
        bad = {x.site.key: x for x in finding.judged if x.gain <= 0}
        for key in finding.group.live_entries:
            native_ns = self._module.native_ns(key)
            if key in bad:
                barrier = bad[key].saving < 0
                reason = loss(bad[key], self._admission)
                self.suppressions.suppress(key, reason, native_ns, now, barrier)
            elif not bad:
                reason = "runs from there lose"
                if finding.verdict is Verdict.UNKNOWN:
                    reason = "the trial of runs from there was inconclusive"
                self.suppressions.suppress(key, reason, native_ns, now, barrier=False)
            self.history.record(key, self.suppressions.get(key))

    def _suppressed(self, key: SiteKey, *, tell: bool = False) -> Changes:
        """The change for a site just suppressed; ``tell``: record it for relatives."""
        suppression = self.suppressions.get(key)
        assert suppression is not None
        if tell:
            self.history.record(key, suppression)
        reason, until = suppression.reason, suppression.until
        return [(key, Native(reason, until, suppression.barrier))]
