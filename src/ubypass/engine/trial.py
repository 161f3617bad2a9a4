# SPDX-License-Identifier: GPL-2.0-only
"""Trials of new regions, and leases of confirmed ones: how long each may run.

A new region is loaded with a loan of run time from the budget of the process. As soon
as measurements show that it gains, it is confirmed and gets a lease; if they show that
it loses, it is dropped. A lease is so short that the loss within it, should the region
begin to lose, is less than what regions have gained in the last window plus what the
budget has left. The module ends trials, and ends or renews leases, by itself: neither
bound depends on the engine being in time, nor does a region that gains end because the
engine is late. Decides nothing about sites.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ubypass.abi import SiteKey
from ubypass.device.client import Gone
from ubypass.device.types import Lease, Site, Trial
from ubypass.device.uapi import TRIAL_STRIKES, TrialState
from ubypass.engine.budget import Budget, Loan
from ubypass.engine.group import Group
from ubypass.engine.ports import DeviceLike
from ubypass.engine.prices import Prices
from ubypass.engine.profitability import Judgement, Profitability

__all__ = ["Finding", "LoadPermit", "TrialPolicy", "Trials", "Verdict", "strict"]

#: Calls that pay for a run in any case where gaps are sure to gain.
_SURE_RUN = 8

#: Leases and prices that differ by a smaller share are equal.
_ALIKE = 0.1


@dataclass(frozen=True, slots=True)
class TrialPolicy:
    """Bounds of trials and leases; run time in ns, all other times in seconds.

    ``share`` of the CPU time of each ``window`` may be lent, and ``first`` ns once.
    ``loan``: run time of one loan; ``least``: the smallest one worth a trial;
    ``reserve``: the part of it that is kept for the end of the last run; ``loans``: the
    number after which a region without a verdict is dropped. ``look``: time until the
    first poll of a trial; ``rarest``: the longest time between polls. ``loss``: the
    share of its time that a confirmed region is assumed to lose if it begins to lose,
    unless more was seen; ``shortest`` and ``longest``: bounds of a lease.
    """

    share: float = 2.0**-12
    window: float = 10.0
    first: float = 1_000_000.0
    loan: float = 300_000.0
    least: float = 50_000.0
    look: float = 0.02
    rarest: float = 1.0
    loans: int = 12
    loss: float = 0.1
    shortest: float = 0.05
    longest: float = 0.15
    reserve: float = 20_000.0

    def slower(self, times: float) -> TrialPolicy:
        """The same for an emulator in which everything takes ``times`` as long."""
        return replace(
            self,
            share=self.share * times,
            first=self.first * times,
            loan=self.loan * times,
            reserve=self.reserve * times,
        )

    @classmethod
    def sharing(cls, bits: int) -> TrialPolicy:
        """A share of 2^-``bits`` of the CPU time; 0: no limit."""
        return cls(share=2.0**-bits if bits else math.inf)


class Verdict(enum.Enum):
    """Result of a trial; UNKNOWN: all loans are used up without one."""

    GAINS = enum.auto()
    LOSES = enum.auto()
    UNKNOWN = enum.auto()


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict on the region of ``group``, and the judgements it is based on."""

    group: Group
    verdict: Verdict
    judged: Sequence[Judgement]


@dataclass(slots=True)
class _Watch:
    """The state of one live region with its ``entries``.

    ``tried``: runs on trial at the last poll; ``paid``: ns of them that are settled;
    ``lost``: ns lost in leases that are booked; ``rest``: ns of credit that were left
    when it was found to lose. Its gain is ``saving`` ns for each dispatched call less
    ``run`` ns for each run (``sure``: it gains whatever these say); ``counted``: calls
    and runs at the time ``counted_at``. ``strikes``: bad looks in a row; ``fell``: it
    was confirmed once, and lost.
    """

    profitability: Profitability
    entries: frozenset[SiteKey]
    due: float
    interval: float
    loan: Loan | None
    loans: int = 1
    paid: float = 0.0
    tried: int = 0
    lost: int = 0
    rest: float = 0.0
    confirmed: bool = False
    sure: bool = False
    fell: bool = False
    strikes: int = 0
    lease: Lease | None = None
    saving: float = 0.0
    run: float = 0.0
    counted: tuple[int, int] = (0, 0)
    counted_at: float = 0.0


@dataclass(frozen=True, slots=True)
class LoadPermit:
    """Permission to load a region with ``entries``.

    With a ``loan`` of run time, or in place of a confirmed region (``proven``) that has
    the same entries or more.
    """

    entries: frozenset[SiteKey]
    loan: Loan | None = None
    proven: _Watch | None = None


def strict(prices: Prices) -> Profitability:
    """For trials: two runs make a judgement, and one bad look a verdict."""
    return Profitability(prices, runs=2, strikes=1)


class Trials:
    """Of the attachment ``proc``; ``prices`` are those of its sites."""

    def __init__(
        self,
        proc: int,
        device: DeviceLike,
        prices: Prices,
        policy: TrialPolicy | None = None,
    ) -> None:
        self._proc = proc
        self._device = device
        self._policy = policy or TrialPolicy()
        self._prices = prices
        self.budget = Budget(
            self._policy.share, self._policy.window, self._policy.first
        )
        self._watches: dict[int, _Watch] = {}
        self._now = 0.0
        self._worst = self._policy.loss
        self._earned: deque[tuple[float, float]] = deque()

    # ---- loads ----------------------------------------------------------------------

    def set_time(self, now: float) -> None:
        """Observe the CPU time of the process at the time ``now``. Raises ``Gone``."""
        self._now = now
        self.budget.observe(now, self._device.cpu_ns(self._proc))

    def admit(self, entries: Iterable[SiteKey], replaced: int = 0) -> LoadPermit | None:
        """Permission to load a region with ``entries`` in place of ``replaced``.

        None: not at present, the budget is used up.
        """
        before = self._watches.get(replaced)
        found = frozenset(entries)
        if before is not None and before.confirmed and found <= before.entries:
            return LoadPermit(found, proven=before)
        loan = self._borrow(fresh=True)
        return LoadPermit(found, loan) if loan is not None else None

    def credit(self, permit: LoadPermit) -> int:
        """Run time that the module is to grant, in ns."""
        return self._granted(permit.loan) if permit.loan is not None else 1

    def refund(self, permit: LoadPermit) -> None:
        """The load has failed: give the loan back."""
        if permit.loan is not None:
            self.budget.settle(permit.loan, self._now, 0.0)

    def loaded(self, region: int, permit: LoadPermit) -> None:
        """``region`` was loaded. Raises ``Gone``."""
        watch = self._watches[region] = _Watch(
            strict(self._prices),
            permit.entries,
            self._now + self._policy.look,
            self._policy.look,
            permit.loan,
        )
        before = permit.proven
        if before is not None:
            watch.confirmed, watch.sure = True, before.sure
            watch.saving, watch.run = before.saving, before.run
            watch.counted_at = self._now
            self._renew(region, watch)

    def _granted(self, loan: Loan) -> int:
        return max(1, int(loan.ns - self._policy.reserve))

    def _borrow(self, fresh: bool) -> Loan | None:
        policy = self._policy
        wanted = policy.loan + policy.reserve
        least = policy.least + policy.reserve
        return self.budget.lend(self._now, wanted, least, fresh=fresh)

    def spent(self, region: int) -> float:
        """ns of its loan that the region has used; 0 without a loan."""
        watch = self._watches.get(region)
        if watch is None or watch.loan is None:
            return 0.0
        try:
            return self._device.trial(self._proc, region).spent_ns - watch.paid
        except Gone:
            return watch.loan.ns

    def on_unload(self, region: int, spent: float | None = None) -> None:
        """The region is about to be unloaded, or was replaced: settle its loan.

        ``spent``: as from :meth:`spent`, before it was replaced.
        """
        spent = self.spent(region) if spent is None else spent
        watch = self._watches.pop(region, None)
        if watch is not None and watch.loan is not None:
            self.budget.settle(watch.loan, self._now, spent)

    def is_on_trial(self, region: int) -> bool:
        """Whether the region is not confirmed: it runs for the time of its loan."""
        watch = self._watches.get(region)
        return watch is not None and not watch.confirmed

    # ---- polls ----------------------------------------------------------------------

    @property
    def due(self) -> float | None:
        """When :meth:`poll` has to be called next."""
        return min((watch.due for watch in self._watches.values()), default=None)

    @property
    def ready(self) -> float:
        """When the budget allows a load, as far as that is known; -inf: now."""
        least = self._policy.least + self._policy.reserve
        if self.budget.left(self._now) >= least:
            return -math.inf
        return self._now + self._policy.rarest / 2

    def on_end(self, region: int, now: float) -> None:
        """The credit of a region, or its lease, has ended: poll it next."""
        watch = self._watches.get(region)
        if watch is not None:
            watch.due = min(watch.due, now)

    def postpone(self, region: int, now: float) -> None:
        """The region loses, but is about to be replaced: poll it again later.

        The rest of its credit may be used until then, so it is booked.
        """
        watch = self._watches.get(region)
        if watch is not None:
            loan = self.budget.lend(now, watch.rest, fresh=not watch.fell)
            if loan is not None:
                self.budget.settle(loan, now, watch.rest)
            watch.rest = 0.0
            watch.due = now + self._policy.rarest

    def check_all(self, now: float) -> None:
        """Events were lost: poll all regions next."""
        for region in self._watches:
            self.on_end(region, now)

    def poll(
        self,
        now: float,
        groups: Sequence[Group],
        sites: Callable[[], Mapping[SiteKey, Site]],
        sure: Callable[[Judgement], bool] = lambda judged: False,
        *,
        lends: bool = True,
    ) -> list[Finding]:
        """Verdicts on regions that are due. Raises ``Gone`` with the process.

        ``sites`` asks the module; ``sure``: whether a site gains whatever was measured.
        ``lends``: regions that have used up their credit get more; False while a build
        is due, whose regions need the budget. A region that loses is still loaded: the
        caller has to drop it.
        """
        self.set_time(now)
        live = {group.region: group for group in groups if group.region}
        for region in self._watches.keys() - live.keys():
            self.on_unload(region)
        found = []
        for region, watch in list(self._watches.items()):
            if watch.due > now:
                continue
            try:
                if watch.confirmed:
                    self._review(live[region], watch)
                    continue
                finding = self._try(live[region], watch, sites, sure, lends)
            except Gone:
                # The region at least; the end of the process shows at the next call.
                self.on_unload(region)
                continue
            found += [finding] if finding is not None else []
        return found

    def on_judged(
        self,
        group: Group,
        judged: Sequence[Judgement],
        sure: Callable[[Judgement], bool] = lambda judged: False,
    ) -> None:
        """The entries of a region were judged: book its gain and renew its lease.

        At the second bad look in a row it is back on trial. Raises ``Gone``.
        """
        watch = self._watches.get(group.region)
        if watch is None or not watch.confirmed or not judged:
            return
        self._set_prices(watch, judged, sure)
        since = self._now - watch.counted_at
        calls, runs = self._count(group, watch)
        self._book(watch.saving * calls - watch.run * runs, since)
        if _gains(judged, sure):
            watch.strikes = 0
            self._renew(group.region, watch)
            return
        watch.strikes += 1
        if watch.strikes >= TRIAL_STRIKES:
            self._retry(group, watch, self._device.trial(self._proc, group.region))

    # ---- trials ---------------------------------------------------------------------

    def _try(
        self,
        group: Group,
        watch: _Watch,
        sites: Callable[[], Mapping[SiteKey, Site]],
        sure: Callable[[Judgement], bool],
        lends: bool,
    ) -> Finding | None:
        trial = self._device.trial(self._proc, group.region)
        if watch.loan is None:
            return self._lend_more(group, watch, trial, lends)
        judged = [
            each
            for each in watch.profitability.judge(sites(), group.live_entries)
            if self._prices.is_sure(each.site) or sure(each)
        ]
        if not judged:
            if trial.state is TrialState.OVER:
                return self._lend_more(group, watch, trial, lends)
            watch.interval = min(self._policy.rarest, watch.interval * 1.5)
            watch.due = self._now + watch.interval
            if trial.runs == watch.tried and watch.interval == self._policy.rarest:
                watch.due = (
                    math.inf
                )  # no runs; the module reports the end of the credit
            watch.tried = trial.runs
            return None
        gains = _gains(judged, sure)
        self._settle(watch, trial, judged if gains else ())
        if not gains:
            watch.rest = max(0.0, trial.left_ns)
            watch.due = math.inf
            return Finding(group, Verdict.LOSES, judged)
        self._set_prices(watch, judged, sure)
        watch.confirmed = True
        self._count(group, watch)
        self._renew(group.region, watch)
        return Finding(group, Verdict.GAINS, judged)

    def _lend_more(
        self, group: Group, watch: _Watch, trial: Trial, lends: bool
    ) -> Finding | None:
        """Lend more: the credit is used up or missing, and too little is known."""
        self._settle(watch, trial, ())
        if not lends:
            watch.due = self._now + self._policy.rarest / 2
            return None
        if watch.loans >= self._policy.loans:
            watch.due = math.inf
            return Finding(group, Verdict.UNKNOWN, ())
        # Plus the overdraft of the last run, which is settled.
        self._lend(group, watch, max(0, -trial.left_ns))
        return None

    def _lend(self, group: Group, watch: _Watch, over: int) -> None:
        """Continue the trial with another loan; if there is none at present, later."""
        watch.loan = self._borrow(fresh=not watch.fell)
        if watch.loan is None:
            watch.due = self._now + self._policy.rarest / 2
            return
        self._device.grant(self._proc, group.region, self._granted(watch.loan) + over)
        watch.loans += 1
        watch.interval = self._policy.look
        watch.due = self._now + watch.interval

    def _settle(
        self, watch: _Watch, trial: Trial, gaining: Sequence[Judgement]
    ) -> None:
        """Settle the loan at the cost of the trial; if it gains, of its timing."""
        if watch.loan is None:
            return
        cost = trial.spent_ns - watch.paid
        if gaining:
            looks = max(max(x.site.overhead_ns, x.site.boosted_ns) for x in gaining)
            cost = min(cost, float(trial.runs * looks))
        self.budget.settle(watch.loan, self._now, cost)
        watch.paid = trial.spent_ns
        watch.loan = None

    # ---- leases ---------------------------------------------------------------------

    def _review(self, group: Group, watch: _Watch) -> None:
        """If its lease has ended, the region lost of late and is tried anew."""
        trial = self._device.trial(self._proc, group.region)
        watch.due = math.inf
        if trial.state in (TrialState.NONE, TrialState.IDLE):
            return
        assert watch.lease is not None
        leases = TRIAL_STRIKES * watch.lease.ns / 1e9
        self._book(float(watch.lost - trial.lost_ns), leases)
        self._retry(group, watch, trial)

    def _retry(self, group: Group, watch: _Watch, trial: Trial) -> None:
        """Back on trial."""
        watch.lost = trial.lost_ns
        watch.lease = None
        watch.strikes = 0
        watch.confirmed = False
        watch.fell = True
        watch.loans = 0
        watch.paid = trial.spent_ns
        watch.profitability = strict(self._prices)
        self._lend(group, watch, 0)
        if watch.loan is None:
            # Nothing to lend: the trial ends at once, and with it the lease.
            self._device.grant(self._proc, group.region, 1)

    def _count(self, group: Group, watch: _Watch) -> tuple[int, int]:
        """Calls dispatched and runs since the last count."""
        assert group.loaded is not None
        counts = self._device.counts(self._proc, group.region, len(group.loaded.exits))
        before = watch.counted
        watch.counted = counts.dispatched, counts.runs
        watch.counted_at = self._now
        return watch.counted[0] - before[0], watch.counted[1] - before[1]

    def _book(self, gain: float, since: float) -> None:
        """Book ``gain`` ns in ``since`` seconds; a loss is charged to the budget."""
        if gain < 0:
            self.budget.charge(self._now, -gain)
            self._worst = max(self._worst, -gain / max(since * 1e9, 1.0))
        else:
            self._earned.append((self._now, gain))
        while self._earned and self._earned[0][0] < self._now - self._policy.window:
            self._earned.popleft()

    def _renew(self, region: int, watch: _Watch) -> None:
        """A lease by the present prices, unless it is much the same as the last one."""
        policy = self._policy
        earned = sum(gain for _, gain in self._earned)
        cover = (earned + self.budget.left(self._now)) / len(self._watches)
        seconds = cover / self._worst / TRIAL_STRIKES / 1e9
        seconds = min(policy.longest, max(policy.shortest, seconds))
        saving, timed = watch.saving, self._prices.are_measured
        if watch.sure:
            # Overrides the measured times, but for long runs only.
            saving, timed = max(saving, watch.run / _SURE_RUN, 1.0), False
        lease = Lease(seconds * 1e9, saving, watch.run, timed)
        watch.due = math.inf
        if watch.lease is None or not _is_alike(lease, watch.lease):
            watch.lease = lease
            self._device.confirm(self._proc, region, lease)

    def _set_prices(
        self,
        watch: _Watch,
        judged: Sequence[Judgement],
        sure: Callable[[Judgement], bool],
    ) -> None:
        """Prices of the region: means of its judgements, weighted by runs."""
        watch.sure = any(sure(each) for each in judged)
        weights = [max(1, each.site.runs) for each in judged]
        total = sum(weights)
        calls = sum(w * x.calls for w, x in zip(weights, judged, strict=True))
        saved = sum(
            w * x.calls * x.saving for w, x in zip(weights, judged, strict=True)
        )
        gain = sum(w * x.gain for w, x in zip(weights, judged, strict=True))
        watch.saving = saved / calls if calls else 0.0
        watch.run = (saved - gain) / total


def _gains(judged: Sequence[Judgement], sure: Callable[[Judgement], bool]) -> bool:
    """Whether all runs together gain, each entry weighted by its runs."""
    total = sum(max(1, each.site.runs) * each.gain for each in judged)
    return total > 0 or any(sure(each) for each in judged)


def _is_alike(lease: Lease, other: Lease) -> bool:
    """Whether the leases are equal up to ``_ALIKE``."""
    near = (
        math.isclose(lease.ns, other.ns, rel_tol=_ALIKE),
        math.isclose(lease.saving, other.saving, rel_tol=_ALIKE),
        math.isclose(lease.run, other.run, rel_tol=_ALIKE),
    )
    return all(near) and lease.timed == other.timed
