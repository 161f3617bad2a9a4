# SPDX-License-Identifier: GPL-2.0-only
"""What regions do when decisions change; most of it is tested with the target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest

from tests.engine.fakes import FakeDevice, FakeMemory
from tests.engine.samples import ENTRY, sites
from ubypass.abi import Entry, Exit, ExitReason, SiteKey, Source, Translation
from ubypass.device.types import Event, Path, Stats
from ubypass.device.uapi import EventType, TrialState
from ubypass.engine.built import Built, NothingToBuild, Postponed
from ubypass.engine.module_state import ModuleState
from ubypass.engine.policy import Policy
from ubypass.engine.ports import MemoryLike
from ubypass.engine.profile import Limits, Profile
from ubypass.engine.region_manager import RegionManager
from ubypass.engine.regions import Regions
from ubypass.engine.sampling import Sampling
from ubypass.engine.shared_history import SharedHistory
from ubypass.engine.site_decisions import SiteDecisions
from ubypass.engine.trial import TrialPolicy, Trials
from ubypass.region.graph import Region

_A, _B = 0x1002, 0x1012
_LOOP = bytes.fromhex("90eb fd0f05".replace(" ", ""))


class _Sampler:
    def take(self) -> Mapping[int, int]:
        return {_A: 2}

    def close(self) -> None:
        pass


@dataclass
class _World:
    policy: Policy = field(
        default_factory=lambda: Policy(trace_timeout=0.25, trial=None)
    )
    now: float = 100.0
    cpu: float = 0.0
    postpone: float = 0.0
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.device = FakeDevice()
        self.memory = FakeMemory({0x1000: _LOOP + bytes(59)})
        self.profile = Profile()
        proc = self.device.attach(42)
        self.module = ModuleState(proc, self.device)
        self.decisions = SiteDecisions(
            self.policy.admission, self.profile, self.module, SharedHistory()
        )
        trials = (
            Trials(proc, self.device, self.decisions.prices, self.policy.trial)
            if self.policy.trial
            else None
        )
        self.regions = Regions(
            proc,
            self.device,
            self.memory,
            self._built,
            self.profile,
            self.decisions.suppressions,
            trials=trials,
        )
        self.sampling = Sampling(
            _Sampler, self.module.refresh_stats, longest=2.0, rest=30.0
        )
        self.manager = RegionManager(
            self.policy,
            self.profile,
            self.decisions,
            self.module,
            self.regions,
            trials,
            self.sampling,
            self._note,
        )

    def _note(self, reason: str) -> None:
        self.notes += [reason] if reason else []

    def _built(self, profile: Profile, memory: MemoryLike) -> Built:
        if self.postpone:
            raise Postponed(self.postpone)
        self.cpu += 0.5
        if not profile.entries:
            raise NothingToBuild
        translation = Translation(
            code=repr((sorted(profile.entries), sorted(profile.frontiers))).encode(),
            entries=tuple(Entry(ip, 0, nr) for ip, nr in sorted(profile.entries)),
            exits=(Exit(0x1001, ExitReason.FRONTIER),),
            faults=(),
            dispatches=(),
            jumps=(),
            sources=(Source(0x1000, b"\x90"),),
            constants=0,
        )
        return Built(Region({}, (), ()), translation)

    def hot(self, ip: int) -> None:
        self.manager.add_event(Event(EventType.HOT, 1, ip=ip, nr=39), self.now)

    def build(self) -> None:
        self.manager.build(lambda: self.now, lambda: self.cpu)

    def look(self) -> None:
        """Look at 100 more runs, which dispatch nothing."""
        self.device.known_sites = [
            replace(site, runs=site.runs + 100) for site in self.device.known_sites
        ]
        self.now = self.manager.look_due or self.now
        if self.manager.begin_look(self.now):
            self.manager.judge_sites(self.now)
        self.manager.end_look(self.now)

    def tick(self, seconds: float) -> None:
        """As the engine does; the process uses the credit of each region at once."""
        self.now += seconds
        self.device.cpu += int(seconds * 1e9)
        for region, trial in list(self.device.trials.items()):
            if trial.state is TrialState.ON:
                self.device.trials[region] = replace(
                    trial,
                    state=TrialState.OVER,
                    left_ns=0,
                    spent_ns=trial.spent_ns + trial.left_ns,
                    runs=trial.runs + 50,
                )
                self.manager.on_trial_end(region, self.now)
        self.manager.poll_trials(self.now)
        due = self.manager.build_due
        if due is not None and due <= self.now and self.manager.may_load(self.now):
            self.build()

    def entries(self) -> list[int]:
        return [key.ip for group in self.regions.live for key in group.live_entries]


@pytest.fixture
def world() -> _World:
    return _World()


def test_a_new_site_is_built_once_its_path_can_be_known(world: _World) -> None:
    assert world.manager.build_due is None
    world.hot(_A)
    assert world.manager.build_due == 100.25
    assert world.manager.may_load(100.25)
    world.build()
    assert world.entries() == [_A]
    assert world.manager.loads == 1
    assert world.manager.build_seconds == 0.5
    assert world.manager.build_due is None


def test_a_gap_that_is_too_large_becomes_a_barrier(world: _World) -> None:
    world.hot(_A)
    world.build()
    long = tuple(range(0x1000, 0x1000 + world.policy.admission.max_distinct + 1))
    world.manager.add_path(Path(_A, 39, long), world.memory, world.now)
    assert world.profile.traced_entries == sites(_A)
    assert not world.profile.execution_counts
    assert world.manager.build_due is not None
    world.build()
    assert world.entries() == []
    assert world.profile.barriers == sites(_A)


def test_a_shorter_path_of_a_rejected_gap_is_translated(world: _World) -> None:
    world.hot(_A)
    long = tuple(range(0x1000, 0x1000 + world.policy.admission.max_distinct + 1))
    world.manager.add_path(Path(_A, 39, long), world.memory, world.now)
    world.build()
    assert world.entries() == []
    world.manager.add_path(Path(_A, 39, (_A, _A + 1)), world.memory, world.now)
    world.build()
    assert world.entries() == [_A]
    assert world.profile.barriers == set()


def test_a_path_that_is_traced_again_is_not_judged_again(world: _World) -> None:
    world.hot(_A)
    path = Path(_A, 39, (_A, _A + 1))
    for _ in range(3):
        world.manager.add_path(path, world.memory, world.now)
    assert world.memory.refreshed == 1
    assert world.profile.execution_counts == {_A: 3, _A + 1: 3}
    world.manager.add_path(Path(_A, 39, (_A,)), world.memory, world.now)
    assert world.memory.refreshed == 2


def test_a_path_that_lost_is_judged_again(world: _World) -> None:
    long = tuple(range(0x1000, 0x1000 + world.policy.admission.max_distinct + 1))
    for refreshed in (1, 2):
        world.manager.add_path(Path(_A, 39, long), world.memory, world.now)
        assert world.memory.refreshed == refreshed


def test_the_rest_of_a_gap_behind_a_miss_is_worth_one_build(world: _World) -> None:
    world.hot(_A)
    world.now += 1
    world.build()
    assert world.manager.build_due is None
    rest = Path(0x1001, None, (0x1001, 0x1001, 0x1003))
    world.manager.add_path(rest, world.memory, world.now)
    assert world.manager.build_due is not None
    assert [group.incomplete for group in world.regions.groups] == [True]
    world.manager.build(lambda: world.now, lambda: world.cpu)
    world.manager.add_path(rest, world.memory, world.now)
    assert world.manager.build_due is None


def test_entries_that_lose_are_dropped_and_those_that_gain_stay(
    world: _World,
) -> None:
    world.hot(_A)
    world.build()
    world.device.known_sites = [replace(ENTRY, ip=_A)]
    for _ in range(8):
        world.look()
    assert world.entries() == []
    assert world.device.live == {}
    assert world.decisions.is_suppressed(SiteKey(_A, 39))
    # It is known to be hot, for when it may be tried again.
    assert set(world.profile.entries) == sites(_A)
    world.now += 31.0
    world.manager.judge_sites(world.now)
    world.build()
    assert world.entries() == [_A]


def test_a_region_to_be_replaced_leaves_the_budget_to_its_successor() -> None:
    """Its traced path was a rare one, so that nearly all of its runs end early."""
    # Enough for one loan: the rest comes with the CPU time of the process.
    trial = TrialPolicy(first=320_000.0)
    world = _World(Policy(trace_timeout=0.25, trial=trial))
    world.manager.may_load(world.now)
    world.hot(_A)
    world.device.known_sites = [
        replace(ENTRY, ip=_A, native_ns=900, boosted_ns=300, runs=50, dispatched=1)
    ]
    world.device.misses, world.device.dispatched = 1000, 10
    world.build()
    (group,) = world.regions.live
    early = Event(
        EventType.MISS, 1, region=group.region, ip=0x1001, nr=ExitReason.FRONTIER
    )
    for _ in range(world.profile.limits.warm):
        world.manager.add_event(early, world.now)
    for _ in range(6):
        world.tick(0.5)
    assert world.manager.loads == 2


def test_code_that_keeps_changing_stays_native() -> None:
    world = _World(
        Policy(trace_timeout=0.0, trial=None, max_code_changes=2, code_change_pause=0.5)
    )
    world.hot(_A)
    for pause in (0.5, 1.0):
        world.build()
        world.manager.on_dead(world.regions.live[0].region, world.now)
        assert world.manager.build_due == world.now + pause
        world.now += pause
    world.build()
    world.manager.on_dead(world.regions.live[0].region, world.now)
    assert not world.manager.active
    assert world.manager.build_due is None
    assert world.notes == ["its code changes too often"]


def test_user_mode_is_sampled_when_the_first_region_falls_short(
    world: _World,
) -> None:
    world.device.counters = Stats(native=1000)
    world.hot(_A)
    world.build()
    assert not world.sampling.is_on
    miss = Event(EventType.MISS, 1, ip=0x1004, nr=int(ExitReason.FRONTIER))
    for _ in range(Limits().warm):
        world.manager.add_event(miss, world.now)
    world.build()
    assert world.sampling.is_on
    world.build()
    assert world.profile.samples == {_A: 2}
    world.manager.stop()
    assert not world.sampling.is_on
    assert world.entries() == []


def test_a_postponed_build_is_due_when_it_was_said(world: _World) -> None:
    world.hot(_A)
    world.postpone = 1.5
    world.build()
    assert world.manager.build_due == world.now + 1.5
    assert world.manager.loads == 0
    assert world.notes == []
    world.now, world.postpone = world.now + 1.5, 0.0
    world.build()
    assert world.entries() == [_A]
