# SPDX-License-Identifier: GPL-2.0-only
"""A process, the module and the clock, played in small steps: what do regions cost it?

The process uses one processor all the time, in equal parts for each of its sites. The
truth about a site is what its translation gains, as a share of the time that it runs;
less than 0: it loses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from operator import mul

from tests.engine.fakes import FakeDevice, FakeMemory
from ubypass.abi import Entry, Exit, ExitReason, Source, Translation
from ubypass.device.client import Gone
from ubypass.device.types import Counts, Event, Lease, Site, Trial
from ubypass.device.uapi import (
    TRIAL_STRIKES,
    TRIAL_TRIFLE_NS,
    EventType,
    SiteVerdict,
    TrialState,
)
from ubypass.engine.built import Built, NothingToBuild
from ubypass.engine.policy import Policy
from ubypass.engine.ports import MemoryLike
from ubypass.engine.profile import Profile
from ubypass.engine.regions import Caps
from ubypass.engine.target import Target
from ubypass.process.status import ProcessId
from ubypass.region.graph import Region

__all__ = ["Workload"]

Truth = Callable[[float], float]

STEP = 0.001  # s
_BASE = 0x1000
_APART = 0x20
_NATIVE = 1000  # ns of a gap
_CALLS = 20  # of a run
_OVERHEAD = 40  # ns
_HOT = 0.5  # s between two reports of a site that is not an entry
_PHASE = 0x9E3779B9  # UB_TRIAL_PHASE in kernel/trial.c
_SMOOTH = 8  # samples of the module's averages


@dataclass
class _Spot:
    """What the module knows of a site, and when it last told of it."""

    boosted: float = 0.0
    samples: int = 0
    runs: float = 0.0
    told: float = -math.inf


@dataclass
class _Leased:
    """A confirmed region; ``ran``: runs when its lease began."""

    lease: Lease
    end: float
    ran: float
    margin: float | None = None
    strikes: int = 0


class _Module(FakeDevice):
    """Takes credits and leases as the module does."""

    def __init__(self, truths: Sequence[Truth]) -> None:
        super().__init__()
        self.truths = {_BASE + 2 + _APART * n: t for n, t in enumerate(truths)}
        self.spots = {ip: _Spot() for ip in self.truths}
        self.leases: dict[int, _Leased] = {}
        self.ran: dict[int, float] = {}  # runs, by region
        self.told: set[int] = set()
        self.phase = 0
        self.now = 0.0

    def load(
        self,
        proc: int,
        translation: Translation,
        replace: int = 0,
        *,
        trial_ns: int = 0,
    ) -> int:
        region = super().load(proc, translation, replace, trial_ns=trial_ns)
        for entry in translation.entries:
            self.spots[entry.user_ip] = _Spot()
        return region

    def grant(self, proc: int, region: int, ns: int) -> Trial:
        self.told.discard(region)
        if self.leases.pop(region, None) is not None:
            for entry in self.live[region].entries:
                self.spots[entry.user_ip] = _Spot()
        return super().grant(proc, region, ns)

    def confirm(self, proc: int, region: int, lease: Lease | None = None) -> Trial:
        self.told.discard(region)
        assert lease is not None
        self.leases[region] = _Leased(
            lease, self.now + self._length(lease), self.ran.get(region, 0.0)
        )
        self.leases[region].margin = self._margin(region)
        return super().confirm(proc, region, lease)

    def _length(self, lease: Lease) -> float:
        self.phase = (self.phase + _PHASE) % 2**32
        return lease.ns / 1e9 * (0.75 + self.phase / 2**33)

    def _margin(self, region: int) -> float | None:
        """Mean ns by which the gaps of the region are shorter than natively."""
        spots = [self.spots[entry.user_ip] for entry in self.live[region].entries]
        known = [spot for spot in spots if spot.samples]
        if not known:
            return None
        weights = [spot.runs + 1 for spot in known]
        margins = [_NATIVE - spot.boosted for spot in known]
        return sum(map(mul, weights, margins)) / sum(weights)

    def _end_lease(self, region: int) -> None:
        """As ``ub_trial_lease()`` in ``kernel/trial.c``."""
        leased, trial = self.leases[region], self.trials[region]
        runs = self.ran.get(region, 0.0) - leased.ran
        saving = leased.lease.saving
        margin = self._margin(region)
        if leased.lease.timed and margin is not None:
            leased.margin = margin if leased.margin is None else leased.margin
            saving += margin - leased.margin
        gain = runs * (_CALLS * saving - leased.lease.run)
        if gain > -TRIAL_TRIFLE_NS:
            leased.strikes = 0
        else:
            leased.strikes += 1
            trial = replace(trial, lost_ns=trial.lost_ns - round(gain))
        if not leased.lease.saving or leased.strikes >= TRIAL_STRIKES:
            trial = replace(trial, state=TrialState.OVER)
        leased.ran += runs
        leased.end = self.now + self._length(leased.lease)
        self.trials[region] = trial

    def counts(self, proc: int, region: int, nr_exits: int) -> Counts:
        if region not in self.live:
            raise Gone
        runs = int(self.ran.get(region, 0))
        return Counts((0,) * nr_exits, runs * _CALLS, runs)

    def sites(self, proc: int) -> list[Site]:
        entries = {e.user_ip for t in self.live.values() for e in t.entries}
        return [
            Site(
                ip,
                0,
                SiteVerdict.ENTRY if ip in entries else SiteVerdict.HOT,
                native_ns=_NATIVE,
                boosted_ns=round(spot.boosted),
                overhead_ns=_OVERHEAD,
                native_samples=50,
                boosted_samples=spot.samples,
                runs=int(spot.runs),
                dispatched=int(spot.runs) * _CALLS,
            )
            for ip, spot in self.spots.items()
        ]

    def step(self, now: float) -> tuple[float, list[Event]]:
        """Run for one step: ns lost (below 0: gained), and what there is to tell."""
        self.now = now
        self.cpu += round(STEP * 1e9)
        lost, events = 0.0, []
        share = STEP * 1e9 / len(self.truths)
        entries = set()
        for region, translation in self.live.items():
            for entry in translation.entries:
                entries.add(entry.user_ip)
                lost += self._run(region, entry.user_ip, share)
            if self.trials[region].state is TrialState.OVER and region not in self.told:
                self.told.add(region)
                events.append(Event(EventType.TRIAL, 1, region=region))
        for ip, spot in self.spots.items():
            if ip not in entries and now - spot.told >= _HOT:
                spot.told = now
                events.append(Event(EventType.HOT, 1, ip=ip))
        return lost, events

    def _run(self, region: int, ip: int, share: float) -> float:
        trial = self.trials[region]
        leased = self.leases.get(region)
        if trial.state is TrialState.NONE and leased and self.now >= leased.end:
            self._end_lease(region)
            trial = self.trials[region]
        if trial.state is TrialState.OVER:
            return 0.0
        gain = self.truths[ip](self.now)
        ran = share
        if trial.state is TrialState.ON:
            ran = min(share, float(trial.left_ns))
            left = trial.left_ns - round(ran)
            self.trials[region] = replace(
                trial,
                state=TrialState.ON if left > 0 else TrialState.OVER,
                left_ns=left,
                spent_ns=trial.spent_ns + round(ran),
                runs=trial.runs + 5,
            )
        took = _CALLS * _NATIVE * (1 - gain)  # ns of a run
        self.ran[region] = self.ran.get(region, 0.0) + ran / took
        spot = self.spots[ip]
        spot.runs += max(ran / took / 64, 2.0 if trial.state is TrialState.ON else 0.0)
        boosted = _NATIVE * (1 - gain)
        if not spot.samples:
            spot.boosted = boosted
        spot.samples += 4
        spot.boosted += (boosted - spot.boosted) / _SMOOTH
        return -gain * ran


@dataclass
class Workload:
    """Sites with these ``truths``, and an engine that stands still if ``stalls`` says.

    ``lost``: ns in each step, less than 0 if more was gained.
    """

    truths: Sequence[Truth]
    stalls: Callable[[float], bool] = lambda now: False
    policy: Policy = field(
        default_factory=lambda: Policy(Caps(regions=100), trace_timeout=0.0)
    )
    lost: list[float] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.module = _Module(self.truths)
        size = _APART * len(self.truths) + _APART
        self.memory = FakeMemory({_BASE: b"\x0f\x05".ljust(size, b"\0")})
        self.target = Target(
            ProcessId(42, 1, "program"),
            self.module.attach(42),
            self.module,
            self.memory,
            self._build,
            policy=self.policy,
            log=self.log.append,
        )

    def _build(self, profile: Profile, memory: MemoryLike) -> Built:
        if not profile.entries:
            raise NothingToBuild
        translation = Translation(
            code=repr(sorted(profile.entries)).encode(),
            entries=tuple(Entry(ip, 0, nr) for ip, nr in profile.entries),
            exits=(Exit(_BASE, ExitReason.FRONTIER),),
            faults=(),
            dispatches=(),
            jumps=(),
            sources=(Source(_BASE, b"\x0f\x05"),),
            constants=0,
        )
        return Built(Region({}, (), ()), translation)

    def run(self, seconds: float) -> None:
        """Play so long."""
        target = self.target
        target.attached(0.0)
        waiting: list[Event] = []
        for n in range(round(seconds / STEP)):
            now = n * STEP
            lost, events = self.module.step(now)
            self.lost.append(lost)
            waiting += events
            if self.stalls(now):
                continue
            for event in waiting:
                target.on_event(event, now)
            waiting.clear()
            due = target.deadline
            if due is not None and due <= now:
                target.tick(now, lambda now=now: now, lambda: 0.0)
        target.close()
        self.module.close()

    def worst(self, window: float = 10.0) -> float:
        """The most that was lost in any window, in ns, net of what was gained."""
        sums = self._sums(1)
        size = round(window / STEP)
        return max(sums[end] - sums[max(0, end - size)] for end in range(1, len(sums)))

    def uncovered(self, window: float = 10.0) -> float:
        """The most that was lost in up to a window, less what was gained in the one
        before; in ns.
        """
        every = round(0.02 / STEP)
        sums = self._sums(every)
        size = round(window / STEP / every)
        worst = 0.0
        for begin in range(len(sums)):
            gained = max(0.0, sums[max(0, begin - size)] - sums[begin])
            lost = max(sums[begin : begin + size + 1]) - sums[begin]
            worst = max(worst, lost - gained)
        return worst

    def _sums(self, every: int) -> list[float]:
        sums = [0.0]
        for at in range(0, len(self.lost), every):
            sums.append(sums[-1] + sum(self.lost[at : at + every]))
        return sums
