# SPDX-License-Identifier: GPL-2.0-only
"""Regions on trial, and confirmed ones: how long each may run before it is looked at.

A new region is loaded with a loan of run time from the process' budget. As soon as
its measurements say that it gains it is confirmed, for as long as a lease lasts; if
they say that it loses it has to go. A lease is so short that all that may be lost in
it, should the region begin to lose, is less than what regions have gained in the last
window and what the budget has left. The module ends trials, and ends or renews leases,
by itself, so nothing of this depends on the engine being there in time: neither is a
region that gains left because the engine is late. Decides nothing about sites.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ubypass.device.client import Gone
from ubypass.device.types import Lease, Site, Trial
from ubypass.device.uapi import TRIAL_STRIKES, TrialState
from ubypass.engine.budget import Budget, Loan
from ubypass.engine.group import Group
from ubypass.engine.payoff import Judgement, Payoff
from ubypass.engine.ports import DeviceLike
from ubypass.engine.prices import Prices

__all__ = ["Admission", "Finding", "Trials", "Trying", "Verdict", "strict"]

#: Calls of a run that pay for it in any case, where gaps are sure to gain.
_SURE_RUN = 8

#: Leases and prices that differ by less are the same.
_ALIKE = 0.1


@dataclass(frozen=True, slots=True)
class Trying:
    """How regions are tried; run time in ns, all else in seconds.

    ``share`` of the CPU time of each ``window`` may be lent, and ``first`` once.
    ``loan``: run time of a trial at first, ``least``: less is not worth to begin with;
    ``look``: until the first look at a trial; ``loans``: after so many it has to go
    without a verdict. ``loss``: what a confirmed region may come to lose, as a share of
    the time, unless worse has been seen; ``shortest`` and ``longest`` lease;
    ``reserve`` ns are kept for the end of the last run.
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

    def slower(self, times: float) -> Trying:
        """The same for an emulator, whose clock counts so many times as much."""
        return replace(
            self,
            share=self.share * times,
            first=self.first * times,
            loan=self.loan * times,
            reserve=self.reserve * times,
        )

    @classmethod
    def sharing(cls, bits: int) -> Trying:
        """One part in 2^``bits`` of the CPU time, 0: as much as need be."""
        return cls(share=2.0**-bits if bits else math.inf)


class Verdict(enum.Enum):
    """What a region was found to do; UNKNOWN: nothing, and it has had its chance."""

    GAINS = enum.auto()
    LOSES = enum.auto()
    UNKNOWN = enum.auto()


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict on the region of ``group``, and what it comes from."""

    group: Group
    verdict: Verdict
    judged: Sequence[Judgement]


@dataclass(slots=True)
class _Watch:
    """One live region with its ``entries``.

    ``tried``: runs on trial that are known of, ``paid``: their time that is settled;
    ``lost``: ns in leases that are known of. What it earns is reckoned with
    ``saving`` ns for each dispatched call, less ``run`` for each run (``sure``: it
    gains whatever these say); there were ``counted`` of them at ``counted_at``;
    ``strikes``: bad looks in a row; ``fell``: it was confirmed once, and lost.
    """

    payoff: Payoff
    entries: frozenset[int]
    due: float
    interval: float
    loan: Loan | None
    loans: int = 1
    paid: float = 0.0
    tried: int = 0
    lost: int = 0
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
class Admission:
    """Of a region that may be loaded: with a ``loan``, or in the place of one that is
    confirmed, with no other ``entries``: ``proven``.
    """

    entries: frozenset[int]
    loan: Loan | None = None
    proven: _Watch | None = None


def strict(prices: Prices) -> Payoff:
    """Judges trials: few runs have to do, and the first bad look condemns."""
    return Payoff(prices, runs=2, strikes=1)


class Trials:
    """Of the attachment ``proc``, whose gaps and runs are worth what ``prices`` say."""

    def __init__(
        self,
        proc: int,
        device: DeviceLike,
        prices: Prices,
        trying: Trying | None = None,
    ) -> None:
        self._proc = proc
        self._device = device
        self._trying = trying or Trying()
        self._prices = prices
        self.budget = Budget(
            self._trying.share, self._trying.window, self._trying.first
        )
        self._watches: dict[int, _Watch] = {}
        self._now = 0.0
        self._worst = self._trying.loss
        self._earned: deque[tuple[float, float]] = deque()

    # ---- for whoever loads regions ------------------------------------------------

    def begin(self, now: float) -> None:
        """It is ``now``. Raises ``Gone``."""
        self._now = now
        self.budget.observe(now, self._device.cpu_ns(self._proc))

    def admit(self, entries: Iterable[int], replaced: int = 0) -> Admission | None:
        """May a region with these entries be loaded in that one's place?

        None: not at present.
        """
        before = self._watches.get(replaced)
        found = frozenset(entries)
        if before is not None and before.confirmed and found <= before.entries:
            return Admission(found, proven=before)
        loan = self._borrow(fresh=True)
        return Admission(found, loan) if loan is not None else None

    def credit(self, admission: Admission) -> int:
        """What the module may grant, in ns."""
        return self._granted(admission.loan) if admission.loan is not None else 1

    def refund(self, admission: Admission) -> None:
        """It was not loaded after all."""
        if admission.loan is not None:
            self.budget.settle(admission.loan, self._now, 0.0)

    def loaded(self, region: int, admission: Admission) -> None:
        """It was. Raises ``Gone``."""
        watch = self._watches[region] = _Watch(
            strict(self._prices),
            admission.entries,
            self._now + self._trying.look,
            self._trying.look,
            admission.loan,
        )
        before = admission.proven
        if before is not None:
            watch.confirmed, watch.sure = True, before.sure
            watch.saving, watch.run = before.saving, before.run
            watch.counted_at = self._now
            self._renew(region, watch)

    def _granted(self, loan: Loan) -> int:
        return max(1, int(loan.ns - self._trying.reserve))

    def _borrow(self, fresh: bool) -> Loan | None:
        trying = self._trying
        wanted = trying.loan + trying.reserve
        least = trying.least + trying.reserve
        return self.budget.lend(self._now, wanted, least, fresh=fresh)

    def spent(self, region: int) -> float:
        """ns of its loan that it has taken; it may be replaced in a moment."""
        watch = self._watches.get(region)
        if watch is None or watch.loan is None:
            return 0.0
        try:
            return self._device.trial(self._proc, region).spent_ns - watch.paid
        except Gone:
            return watch.loan.ns

    def ending(self, region: int, spent: float | None = None) -> None:
        """It is about to be unloaded, or was replaced when it had ``spent`` so much."""
        spent = self.spent(region) if spent is None else spent
        watch = self._watches.pop(region, None)
        if watch is not None and watch.loan is not None:
            self.budget.settle(watch.loan, self._now, spent)

    # ---- looks ----------------------------------------------------------------------

    @property
    def due(self) -> float | None:
        """When :meth:`look` wants to be called next."""
        return min((watch.due for watch in self._watches.values()), default=None)

    @property
    def ready(self) -> float:
        """When a region may be loaded, as far as it is known."""
        least = self._trying.least + self._trying.reserve
        if self.budget.left(self._now) >= least:
            return -math.inf
        return self._now + self._trying.rarest / 2

    def over(self, region: int, now: float) -> None:
        """The module says that the credit of a region, or its lease, has ended."""
        watch = self._watches.get(region)
        if watch is not None:
            watch.due = min(watch.due, now)

    def postpone(self, region: int, now: float) -> None:
        """It loses, but is about to be replaced: ask for a verdict again later.

        What is left of its credit may be used up until then, so it is booked.
        """
        watch = self._watches.get(region)
        if watch is not None:
            self.budget.charge(now, self._trying.loan)
            watch.due = now + self._trying.rarest

    def hurry(self, now: float) -> None:
        """Events were lost."""
        for region in self._watches:
            self.over(region, now)

    def look(
        self,
        now: float,
        groups: Sequence[Group],
        sites: Callable[[], Mapping[int, Site]],
        sure: Callable[[Judgement], bool] = lambda judged: False,
    ) -> list[Finding]:
        """Look at the regions whose time has come. Raises ``Gone`` with the process.

        ``sites`` asks the module; ``sure`` says who gains whatever is measured. Whoever
        loses is still there, and has to be dropped.
        """
        self.begin(now)
        live = {group.region: group for group in groups if group.region}
        for region in self._watches.keys() - live.keys():
            self.ending(region)
        found = []
        for region, watch in list(self._watches.items()):
            if watch.due > now:
                continue
            try:
                if watch.confirmed:
                    self._review(live[region], watch)
                    continue
                finding = self._try(live[region], watch, sites, sure)
            except Gone:
                # The region; whether the process is gone as well comes to light soon.
                self.ending(region)
                continue
            found += [finding] if finding is not None else []
        return found

    def learn(
        self,
        group: Group,
        judged: Sequence[Judgement],
        sure: Callable[[Judgement], bool] = lambda judged: False,
    ) -> None:
        """A region was judged anew: earnings, and the lease, go by that now.

        At the second bad look in a row it is back on trial. Raises ``Gone``.
        """
        watch = self._watches.get(group.region)
        if watch is None or not watch.confirmed or not judged:
            return
        self._model(watch, judged, sure)
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
        sites: Callable[[], Mapping[int, Site]],
        sure: Callable[[Judgement], bool],
    ) -> Finding | None:
        trial = self._device.trial(self._proc, group.region)
        if watch.loan is None:
            return self._lend_more(group, watch, trial)
        judged = [
            each
            for each in watch.payoff.look(sites(), group.live_entries)
            if self._prices.is_sure(each.site) or sure(each)
        ]
        if not judged:
            if trial.state is TrialState.OVER:
                return self._lend_more(group, watch, trial)
            watch.interval = min(self._trying.rarest, watch.interval * 1.5)
            watch.due = self._now + watch.interval
            if trial.runs == watch.tried and watch.interval == self._trying.rarest:
                watch.due = math.inf  # nobody comes; the end of its credit is told of
            watch.tried = trial.runs
            return None
        gains = _gains(judged, sure)
        self._settle(watch, trial, judged if gains else ())
        if not gains:
            watch.due = math.inf
            return Finding(group, Verdict.LOSES, judged)
        self._model(watch, judged, sure)
        watch.confirmed = True
        self._count(group, watch)
        self._renew(group.region, watch)
        return Finding(group, Verdict.GAINS, judged)

    def _lend_more(self, group: Group, watch: _Watch, trial: Trial) -> Finding | None:
        """Its credit is used up, or it has none, and too little is known."""
        self._settle(watch, trial, ())
        if watch.loans >= self._trying.loans:
            watch.due = math.inf
            return Finding(group, Verdict.UNKNOWN, ())
        # By what the last run went over its credit; that is settled.
        self._lend(group, watch, max(0, -trial.left_ns))
        return None

    def _lend(self, group: Group, watch: _Watch, over: int) -> None:
        """Let it go on, on trial; if that is too much at present, later."""
        watch.loan = self._borrow(fresh=not watch.fell)
        if watch.loan is None:
            watch.due = self._now + self._trying.rarest / 2
            return
        self._device.grant(self._proc, group.region, self._granted(watch.loan) + over)
        watch.loans += 1
        watch.interval = self._trying.look
        watch.due = self._now + watch.interval

    def _settle(
        self, watch: _Watch, trial: Trial, gaining: Sequence[Judgement]
    ) -> None:
        """Book what the trial took. Of one that gains: what its looks did."""
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
        """Has its lease ended? Then it lost of late, and is tried anew."""
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
        watch.payoff = strict(self._prices)
        self._lend(group, watch, 0)
        if watch.loan is None:
            # Nothing to lend: it ends all the same, and with it what was known of it.
            self._device.grant(self._proc, group.region, 1)

    def _count(self, group: Group, watch: _Watch) -> tuple[int, int]:
        """Calls dispatched and runs since the last time."""
        assert group.loaded is not None
        counts = self._device.counts(self._proc, group.region, len(group.loaded.exits))
        before = watch.counted
        watch.counted = counts.dispatched, counts.runs
        watch.counted_at = self._now
        return watch.counted[0] - before[0], watch.counted[1] - before[1]

    def _book(self, gain: float, since: float) -> None:
        """``gain`` ns in ``since`` seconds; losses come off what may be lent."""
        if gain < 0:
            self.budget.charge(self._now, -gain)
            self._worst = max(self._worst, -gain / max(since * 1e9, 1.0))
        else:
            self._earned.append((self._now, gain))
        while self._earned and self._earned[0][0] < self._now - self._trying.window:
            self._earned.popleft()

    def _renew(self, region: int, watch: _Watch) -> None:
        """A lease by what is known now, unless it is much the same as the last one."""
        trying = self._trying
        earned = sum(gain for _, gain in self._earned)
        cover = (earned + self.budget.left(self._now)) / len(self._watches)
        seconds = cover / self._worst / TRIAL_STRIKES / 1e9
        seconds = min(trying.longest, max(trying.shortest, seconds))
        saving, timed = watch.saving, self._prices.are_measured
        if watch.sure:
            # Whatever times say; but that was of long runs.
            saving, timed = max(saving, watch.run / _SURE_RUN, 1.0), False
        lease = Lease(seconds * 1e9, saving, watch.run, timed)
        watch.due = math.inf
        if watch.lease is None or not _is_alike(lease, watch.lease):
            watch.lease = lease
            self._device.confirm(self._proc, region, lease)

    def _model(
        self,
        watch: _Watch,
        judged: Sequence[Judgement],
        sure: Callable[[Judgement], bool],
    ) -> None:
        """What calls and runs bring, going by all that were looked at."""
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
    """Do all runs together gain, each entry weighed by how often it was taken?"""
    total = sum(max(1, each.site.runs) * each.gain for each in judged)
    return total > 0 or any(sure(each) for each in judged)


def _is_alike(lease: Lease, other: Lease) -> bool:
    """Not worth a change."""
    near = (
        math.isclose(lease.ns, other.ns, rel_tol=_ALIKE),
        math.isclose(lease.saving, other.saving, rel_tol=_ALIKE),
        math.isclose(lease.run, other.run, rel_tol=_ALIKE),
    )
    return all(near) and lease.timed == other.timed
