# SPDX-License-Identifier: GPL-2.0-only
"""The decisions about one process, with a played device and translator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest

from tests.engine.fakes import FakeDevice, FakeMemory
from tests.engine.samples import sites
from ubypass.abi import Entry, Exit, ExitReason, SiteKey, Source, Translation
from ubypass.cost.model import Parameter, Range, model_of
from ubypass.device.client import SourceChanged
from ubypass.device.types import Event, Path, Site, Stats
from ubypass.device.uapi import Decline, EventType, SiteVerdict
from ubypass.engine.admission import AdmissionPolicy
from ubypass.engine.built import Built, NothingToBuild, Refused
from ubypass.engine.decision import Probe
from ubypass.engine.declines import HINTS, REASONS
from ubypass.engine.policy import Policy
from ubypass.engine.ports import MemoryLike
from ubypass.engine.profile import Limits, Profile
from ubypass.engine.regions import Caps
from ubypass.engine.shared_history import SharedHistory
from ubypass.engine.target import Target
from ubypass.errors import UbError
from ubypass.process.status import ProcessId
from ubypass.region.graph import Region

#: A call at 0x1000, after which a program goes on at 0x1002, and one at 0x1010.
_CODE = {0x1000: b"\x0f\x05".ljust(0x10, b"\0") + b"\x0f\x05".ljust(0xFF0, b"\0")}


def _translation(profile: Profile) -> Translation:
    """Something that depends on all that is known."""
    return Translation(
        code=repr(
            (sorted(profile.frontiers), profile.branch_targets, profile.nonpointers)
        ).encode(),
        entries=tuple(Entry(ip, 0, nr) for ip, nr in profile.entries),
        exits=(Exit(0x1000, ExitReason.FRONTIER),),
        faults=(),
        dispatches=(),
        jumps=(),
        sources=(Source(0x1000, b"\x0f\x05"),),
        constants=0,
        anchored=((0x1006, 1 << 3 | 1 << 6),),
    )


@dataclass
class _World:
    """A target, its surroundings, and a clock that building moves on."""

    device: FakeDevice = field(default_factory=FakeDevice)
    memory: FakeMemory = field(default_factory=lambda: FakeMemory(dict(_CODE)))
    now: float = 100.0
    builds: int = 0
    build_seconds: float = 0.01
    waits: float = 0.0
    cpu: float = 0.0
    fail: Callable[[], None] = lambda: None
    policy: Policy = field(default_factory=lambda: Policy(trace_timeout=0.0))
    history: SharedHistory = field(default_factory=SharedHistory)
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.device.misses = 500
        process = ProcessId(42, 1, "program")
        proc = self.device.attach(42)
        self.target = Target(
            process,
            proc,
            self.device,
            self.memory,
            self._build,
            history=self.history,
            policy=self.policy,
            log=self.log.append,
        )

    def _build(self, profile: Profile, memory: MemoryLike) -> Built:
        self.builds += 1
        self.now += self.build_seconds + self.waits
        self.cpu += self.build_seconds
        self.fail()
        if not profile.entries:
            raise NothingToBuild
        return Built(Region({}, (), ()), _translation(profile))

    def event(self, kind: EventType, **fields: int) -> None:
        self.target.on_event(Event(kind, 1, **fields), self.now)

    def hot(self, ip: int = 0x1002) -> None:
        self.event(EventType.HOT, ip=ip, nr=39)

    def frontier(self, ip: int) -> None:
        nr, region = int(ExitReason.FRONTIER), self.target.region
        for _ in range(Limits().warm):
            self.event(EventType.MISS, nr=nr, ip=ip, region=region)

    def tick(self) -> None:
        self.target.tick(self.now, lambda: self.now, lambda: self.cpu)

    def run(self, seconds: float) -> None:
        """Let time pass, calling tick whenever it is due."""
        end = self.now + seconds
        while (due := self.target.deadline) is not None and due <= end:
            self.now = max(self.now, due)
            self.tick()
        self.now = max(self.now, end)


@pytest.fixture
def world() -> Iterator[_World]:
    world = _World()
    yield world
    world.device.close()


def test_nothing_happens_before_the_first_event(world: _World) -> None:
    assert world.target.deadline is None
    world.tick()
    assert world.builds == 0


def test_a_hot_site_is_loaded_at_once(world: _World) -> None:
    world.hot()
    assert world.target.deadline == world.now
    world.tick()
    assert [load.replace for load in world.device.loads] == [0]
    assert world.target.region == 1
    assert world.target.summary().entries == 1


def test_a_build_that_waited_for_the_disk_does_not_delay_the_next(
    world: _World,
) -> None:
    world.waits = 60.0
    world.hot()
    world.tick()
    world.waits = 0.0
    world.frontier(0x1100)
    world.run(0.5)
    assert world.builds == 2
    assert world.target.summary().build_seconds == pytest.approx(0.02)


def test_news_that_comes_together_is_built_together(world: _World) -> None:
    world.hot()
    world.tick()
    for n in range(20):
        world.frontier(0x1100 + n)
    world.run(0.5)
    assert world.builds == 2
    assert [load.replace for load in world.device.loads] == [0, 1]


def test_growth_converges(world: _World) -> None:
    """The same misses again and again are worth nothing."""
    world.hot()
    for _ in range(100):
        for n in range(5):
            world.frontier(0x1100 + n)
        world.run(1.0)
    efforts = Limits().effort + 1
    assert world.builds <= 3 + efforts
    builds = world.builds
    for _ in range(100):
        world.frontier(0x1100)
        world.run(1.0)
    assert world.builds == builds


def test_endless_news_takes_at_most_half_of_the_time(world: _World) -> None:
    world.build_seconds = 0.3
    world.hot()
    began = world.now
    for n in range(300):
        world.frontier(0x1100 + n)
        world.run(0.1)
    busy = world.builds * world.build_seconds
    assert busy <= 0.5 * (world.now - began) + world.build_seconds


def test_the_same_translation_is_not_loaded_again(world: _World) -> None:
    world.hot()
    world.tick()
    world.target.profile.call_numbers.clear()  # known to change nothing here
    world.hot()
    world.run(2.0)
    assert world.builds == 2
    assert len(world.device.loads) == 1


def test_code_that_changes_while_read_is_read_again(world: _World) -> None:
    world.device.refuse_loads.append(SourceChanged())
    world.hot()
    world.tick()
    assert world.builds == 2
    assert world.memory.refreshed == 2
    assert world.target.region == 1


def test_code_that_never_stands_still_is_left_alone() -> None:
    world = _World(policy=Policy(caps=Caps(rereads=2), max_code_changes=3))
    world.device.refuse_loads.extend(SourceChanged() for _ in range(1000))
    world.hot()
    world.run(1000.0)
    assert world.builds == 2 * 4
    assert world.target.region == 0
    assert "changes too often" in world.target.summary().notes[0]
    world.device.close()


def test_a_dead_region_is_built_again_after_a_pause(world: _World) -> None:
    world.hot()
    world.tick()
    world.event(EventType.DEAD, region=1, ip=0x1002)
    assert world.target.region == 0
    before = world.now
    world.tick()
    assert len(world.device.loads) == 1
    world.device.live.clear()
    world.run(5.0)
    assert [load.replace for load in world.device.loads] == [0, 0]
    assert world.now >= before + Policy().code_change_pause


def test_a_region_that_was_replaced_may_die_in_peace(world: _World) -> None:
    world.hot()
    world.tick()
    world.frontier(0x1100)
    world.run(1.0)
    assert world.target.region == 2
    world.event(EventType.DEAD, region=1)
    assert world.target.region == 2


def test_misses_of_a_replaced_region_teach_nothing(world: _World) -> None:
    world.hot()
    world.tick()
    nr = int(ExitReason.FRONTIER)
    for _ in range(20):
        world.event(EventType.MISS, nr=nr, ip=0x1100, region=77)
    world.run(1.0)
    assert world.builds == 1


def _fault(world: _World, ip: int, registers: int, region: int) -> None:
    nr = int(ExitReason.FAULT)
    for _ in range(Limits().warm):
        world.event(EventType.MISS, nr=nr, ip=ip, target=registers, region=region)


def test_a_base_that_is_no_address_is_built_around_once(world: _World) -> None:
    world.hot()
    world.tick()
    for _ in range(3):
        _fault(world, 0x1006, 1 << 3 | 1 << 8, world.target.region)
        world.run(5.0)
    assert len(world.device.loads) == 2
    # Nothing hangs on the other register there.
    assert world.target.profile.nonpointers == {0x1006: 1 << 3}


def test_no_other_fault_teaches_anything(world: _World) -> None:
    world.hot()
    world.tick()
    _fault(world, 0x1006, 1 << 8, world.target.region)
    _fault(world, 0x1007, 1 << 3, world.target.region)
    _fault(world, 0x1006, 1 << 3, 77)
    world.run(5.0)
    assert world.builds == 1
    assert world.target.profile.nonpointers == {}


def _die(world: _World, times: int, seconds: float) -> None:
    """Lose the region again and again, after so many seconds of life."""
    for _ in range(times):
        world.hot(0x1002)
        world.run(seconds)
        if world.target.region:
            world.device.live.clear()
            world.event(EventType.DEAD, region=world.target.region)


def test_regions_that_keep_dying_are_given_up(world: _World) -> None:
    _die(world, 100, 50.0)
    assert len(world.device.loads) == 1 + Policy().max_code_changes
    assert world.target.deadline is None or world.target.deadline > world.now


def test_a_death_now_and_then_is_no_reason_to_give_up(world: _World) -> None:
    _die(world, 30, Policy().code_change_reset + 1)
    assert len(world.device.loads) == 30


def test_what_the_verifier_refuses_is_never_loaded(world: _World) -> None:
    def refuse() -> None:
        raise Refused("the verifier refused a translation: it stinks")

    world.fail = refuse
    for n in range(20):
        world.hot(0x1002 + n)
        world.frontier(0x1100 + n)
        world.run(5.0)
    assert world.device.loads == []
    # Each of the sites that have a place was tried, and none for ever.
    caps = Caps()
    assert world.builds == caps.regions * caps.refusals
    assert world.log[0] == (
        "process 42 (program): the verifier refused a translation: it stinks"
    )
    assert len(world.log) == 2


def test_a_full_module_leaves_the_region_that_is_there(world: _World) -> None:
    world.hot()
    world.tick()
    world.device.refuse_loads.append(UbError("the module refused: no space"))
    world.frontier(0x1100)
    world.run(1.0)
    assert world.target.region == 1
    assert list(world.device.live) == [1]


def _entry(ip: int, *, boosted: int, looks: int, calls: int = 1) -> Site:
    """An entry as the module knows it after that many seconds."""
    return Site(
        ip,
        39,
        SiteVerdict.ENTRY,
        native_ns=300,
        boosted_ns=boosted,
        overhead_ns=200,
        native_samples=50,
        boosted_samples=50,
        runs=100 * looks,
        dispatched=100 * looks * calls,
    )


def _measure(world: _World, seconds: int, **fields: int) -> None:
    """Let time pass in which the module measures the entry at 0x1002."""
    for look in range(1, seconds + 1):
        world.device.known_sites = [_entry(0x1002, looks=look, **fields)]
        world.run(1.0)


def test_an_entry_whose_runs_cost_more_than_they_save_is_not_taken(
    world: _World,
) -> None:
    world.hot()
    world.tick()
    _measure(world, 8, boosted=50)  # saves 234 in each run that costs 250
    assert world.device.unloaded == [1]
    assert world.target.region == 0
    suppression = world.target.decisions.suppressions.get(SiteKey(0x1002, 39))
    assert suppression is not None
    assert not suppression.barrier
    assert "lose 16 ns each" in suppression.reason


def test_the_same_gap_pays_in_longer_runs(world: _World) -> None:
    world.hot()
    world.tick()
    _measure(world, 8, boosted=50, calls=2)
    assert world.device.unloaded == []
    assert world.target.decisions.judgements[SiteKey(0x1002, 39)].gain == pytest.approx(
        2 * (300 - 50 - 16) - 1.25 * 200
    )


def test_a_gap_that_is_slower_boosted_stops_the_region(world: _World) -> None:
    world.hot()
    world.tick()
    _measure(world, 8, boosted=400, calls=50)
    assert world.target.region == 0
    assert world.target.decisions.suppressions.barriers() == sites(0x1002)


def test_a_region_that_runs_well_is_left_as_it_is(world: _World) -> None:
    world.hot()
    world.run(1.0)
    world.device.misses = 10
    builds = world.builds
    world.frontier(0x1100)
    world.run(30.0)
    assert world.builds == builds
    # Once that is where the program goes, it is built.
    world.device.misses = 100
    world.run(30.0)
    assert world.builds > builds


def test_what_keeps_losing_need_not_settle(world: _World) -> None:
    world.hot()
    world.tick()
    for look in range(1, 7):
        world.device.known_sites = [_entry(0x1002, looks=look, boosted=50)]
        world.frontier(0x1100 + look)  # it grows all the while
        world.run(1.0)
    assert world.target.decisions.suppressions.get(SiteKey(0x1002, 39)) is not None


def test_what_is_about_to_be_built_again_is_not_given_up(world: _World) -> None:
    world.build_seconds = 4.0
    world.hot()
    world.tick()
    world.frontier(0x1100)
    for look in range(1, 4):
        world.device.known_sites = [_entry(0x1002, looks=look, boosted=50)]
        world.run(1.0)
    assert world.builds == 1
    assert world.target.region
    world.run(1.0)
    assert world.builds == 2


def test_sites_of_a_region_that_earns_nothing_may_come_back(world: _World) -> None:
    world.hot(0x1002)
    world.hot(0x1802)
    world.tick()
    group = world.target.groups[0]
    group.sites |= sites(0x1902)
    world.target.profile.add_entry(SiteKey(0x1902, 39))
    _measure(world, 8, boosted=50)
    assert world.device.unloaded == [1]
    assert set(world.target.profile.entries) == sites(0x1002, 0x1802)
    world.hot(0x1902)
    world.run(1.0)
    assert [each.sites for each in world.target.groups] == [
        sites(0x1802),
        sites(0x1902),
    ]


def test_what_did_not_pay_is_tried_again_later(world: _World) -> None:
    world.hot()
    world.tick()
    _measure(world, 8, boosted=50)
    hot = Site(0x1002, 39, SiteVerdict.HOT, native_ns=300, native_samples=99)
    world.device.known_sites = [hot]
    world.run(40.0)
    assert world.target.region == 2


def test_and_at_once_when_it_behaves_differently(world: _World) -> None:
    world.hot()
    world.tick()
    for _ in range(3):
        _measure(world, 40, boosted=50)
        hot = Site(0x1002, 39, SiteVerdict.HOT, native_ns=300, native_samples=99)
        world.device.known_sites = [hot]
        world.run(1000.0)
    assert world.target.region == 0  # for good, as it is
    world.device.known_sites = [
        Site(0x1002, 39, SiteVerdict.HOT, native_ns=100, native_samples=99)
    ]
    world.run(20.0)
    assert world.target.region


def test_a_gap_that_is_too_long_never_costs_anything(world: _World) -> None:
    world.device.known_sites = [
        Site(0x1102, 0, SiteVerdict.LONG, native_ns=9000, native_samples=32)
    ]
    world.hot()
    world.tick()
    assert world.target.profile.barriers == {SiteKey(0x1102, 0)}
    assert world.target.region == 1


def test_sites_that_do_not_meet_have_regions_of_their_own(world: _World) -> None:
    world.hot(0x1002)
    world.hot(0x1802)
    world.tick()
    assert [load.replace for load in world.device.loads] == [0, 0]
    assert len(world.device.live) == 2
    assert world.target.summary().regions == 2
    # A miss of one does not build the other.
    builds = world.builds
    nr = int(ExitReason.FRONTIER)
    for _ in range(Limits().warm):
        world.event(EventType.MISS, nr=nr, ip=0x1900, region=2)
    world.run(0.2)
    assert world.builds == builds + 1


def test_converged_processes_are_hardly_looked_at(world: _World) -> None:
    world.hot()
    world.tick()
    world.run(60.0)
    looks = 0
    end = world.now + 100.0
    while (due := world.target.deadline) is not None and due <= end:
        world.now = due
        world.tick()
        looks += 1
    assert looks <= 11


class _Sampler:
    def __init__(self) -> None:
        self.closed = False

    def take(self) -> dict[int, int]:
        return {0x1100: 3}

    def close(self) -> None:
        self.closed = True


def test_user_mode_is_sampled_only_while_a_region_grows(world: _World) -> None:
    samplers: list[_Sampler] = []

    def open_sampler(pid: int) -> _Sampler:
        assert pid == 42
        samplers.append(_Sampler())
        return samplers[-1]

    world.target._sampling.open_sampler = lambda: open_sampler(42)
    world.hot()
    world.tick()
    assert not samplers  # the first region may be all that is needed
    world.frontier(0x1200)
    world.run(0.5)
    world.frontier(0x1210)
    world.run(0.5)
    assert world.target.profile.samples == {0x1100: 3}
    assert not samplers[0].closed
    world.run(10.0)
    assert samplers[0].closed
    assert len(samplers) == 1


def test_sampling_ends_even_if_growth_does_not(world: _World) -> None:
    samplers: list[_Sampler] = []

    def open_sampler(pid: int) -> _Sampler:
        samplers.append(_Sampler())
        return samplers[-1]

    world.target._sampling.open_sampler = lambda: open_sampler(42)
    world.hot()
    world.tick()
    for step in range(40):  # 20 seconds
        world.frontier(0x1200 + step)
        world.run(0.5)
    assert len(samplers) == 1
    assert samplers[0].closed
    for step in range(60):
        world.frontier(0x1300 + step)
        world.run(0.5)
    assert len(samplers) == 2


@pytest.mark.parametrize(("native", "sampled"), [(10, False), (900, True)])
def test_what_hardly_leaves_the_kernel_is_not_sampled(
    world: _World, native: int, sampled: bool
) -> None:
    samplers: list[_Sampler] = []

    def open_sampler(pid: int) -> _Sampler:
        samplers.append(_Sampler())
        return samplers[-1]

    world.target._sampling.open_sampler = lambda: open_sampler(42)
    world.hot()
    world.tick()
    world.device.counters = Stats(native=native, dispatched=1000)
    world.frontier(0x1200)
    world.run(0.5)
    assert bool(samplers) is sampled


def test_addresses_that_are_no_longer_code_are_dropped(world: _World) -> None:
    world.hot(0x9002)
    world.run(1.0)
    assert world.device.loads == []
    world.hot(0x1002)
    world.run(1.0)
    assert [e.user_ip for e in world.device.loads[0].translation.entries] == [0x1002]


def test_the_end_of_the_process_ends_everything(world: _World) -> None:
    world.hot()
    world.event(EventType.GONE)
    world.tick()
    assert world.builds == 0
    assert world.target.gone
    world.target.close()
    assert world.device.detached == [1]
    assert world.memory.closed


def test_the_process_may_vanish_during_a_load(world: _World) -> None:
    world.device.gone = True
    world.hot()
    world.tick()
    assert world.target.gone
    assert not world.target.summary().alive


def _trace(world: _World, ips: tuple[int, ...]) -> None:
    following = 39 if ips[-1] in (0x1000, 0x1010) else None
    world.device.paths.append(Path(ips[0], 39, ips, following))
    world.event(EventType.PATH, ip=ips[0])


def test_a_traced_gap_is_built_from(world: _World) -> None:
    world.hot()
    world.run(1.0)
    builds = world.builds
    _trace(world, (0x1002, 0x1004, 0x1000))
    assert world.target.profile.execution_counts == {0x1002: 1, 0x1004: 1, 0x1000: 1}
    world.run(3.0)
    assert world.builds == builds + 1
    # The same again is no news; nor is one that somebody else has fetched.
    _trace(world, (0x1002, 0x1004, 0x1000))
    world.event(EventType.PATH, ip=0x1002)
    world.run(3.0)
    assert world.builds == builds + 1


def test_a_path_through_code_that_was_mapped_since_is_priced() -> None:
    world = _World()
    world.memory.code, mapped = {}, world.memory.code
    refresh = world.memory.refresh

    def look_again() -> None:
        refresh()
        world.memory.code = mapped

    world.memory.refresh = look_again  # type: ignore[method-assign]
    _trace(world, (0x1002, 0x1004, 0x1000))
    assert world.target.decisions._predictor.saving(SiteKey(0x1002, 39)) is not None


def test_the_process_may_vanish_before_its_map_is_read_again(world: _World) -> None:
    def vanished() -> None:
        raise UbError("process 42 no longer exists")

    world.memory.refresh = vanished  # type: ignore[method-assign]
    _trace(world, (0x1002, 0x1004, 0x1000))
    assert world.target.profile.execution_counts == {}
    world.hot()
    world.tick()
    assert world.target.gone
    assert world.log == []


def test_a_process_whose_memory_is_not_answered_stays_native(world: _World) -> None:
    world.hot()
    world.run(1.0)
    assert world.target.region
    world.memory.is_silent = True
    world.run(10.0)
    assert world.target.region == 0
    assert world.target.summary().alive
    assert len(world.log) == 1
    assert "a read of its memory was not answered" in world.log[0]
    world.hot()
    world.run(10.0)
    assert world.target.region == 0


def test_a_new_site_is_built_once_its_path_is_known() -> None:
    world = _World(policy=Policy(trace_timeout=0.25))
    world.hot()
    world.run(0.2)
    assert world.builds == 0
    _trace(world, (0x1002, 0x1004, 0x1000))
    world.run(0.01)
    assert world.builds == 1
    world.device.close()


def test_or_when_nobody_can_say() -> None:
    world = _World(policy=Policy(trace_timeout=0.25))
    world.hot()
    world.run(0.3)
    assert world.builds == 1
    world.device.close()


#: One gap does not earn a run.
_COSTLY = replace(
    model_of("zen4"), run=Parameter(Range(180, 180, 180), "estimated", "")
)
_ALONE = Policy(admission=AdmissionPolicy(_COSTLY), trace_timeout=0.0)


def _sites(*verdicts: SiteVerdict, native_ns: int = 300) -> list[Site]:
    return [
        Site(ip, 39, verdict, native_ns=native_ns)
        for ip, verdict in zip((0x1002, 0x1012), verdicts, strict=True)
    ]


def _alone() -> _World:
    """From 0x1002 the path leads to 0x1012, where no run goes on."""
    world = _World(policy=_ALONE)
    world.device.known_sites = _sites(SiteVerdict.HOT, SiteVerdict.BUSY)
    _trace(world, (0x1002, 0x1004, 0x1010))
    world.hot()
    world.run(3.0)
    return world


def test_one_call_alone_does_not_pay() -> None:
    world = _alone()
    assert world.builds == 0
    assert world.target.groups == []
    suppression = world.target.decisions.suppressions.get(SiteKey(0x1002, 39))
    assert suppression is not None
    assert "end before a gain" in suppression.reason
    assert not suppression.barrier
    world.device.close()


def test_it_may_where_nobody_knows_what_getting_in_costs() -> None:
    world = _World(policy=Policy(trace_timeout=0.0))
    world.device.known_sites = _sites(SiteVerdict.HOT, SiteVerdict.BUSY)
    _trace(world, (0x1002, 0x1004, 0x1010))
    world.hot()
    world.run(3.0)
    assert world.builds == 1
    world.device.close()


def test_two_calls_may_pay() -> None:
    world = _World(policy=_ALONE)
    world.device.known_sites = _sites(SiteVerdict.HOT, SiteVerdict.HOT)
    _trace(world, (0x1002, 0x1004, 0x1010))
    _trace(world, (0x1012, 0x1014, 0x1000))
    world.hot()
    world.hot(0x1012)
    world.run(3.0)
    assert world.builds > 0
    assert world.target.summary().entries == 2
    world.device.close()


def test_what_follows_may_change() -> None:
    world = _alone()
    world.device.known_sites = _sites(SiteVerdict.HOT, SiteVerdict.HOT)
    _trace(world, (0x1012, 0x1014, 0x1000))
    world.hot(0x1012)
    world.run(3.0)
    assert world.target.decisions.suppressions.get(SiteKey(0x1002, 39)) is None
    assert world.target.summary().entries == 2
    world.device.close()


def test_a_region_is_dropped_whose_runs_turn_out_to_end() -> None:
    world = _World(policy=_ALONE)
    world.hot()
    world.run(1.0)
    assert world.target.region
    world.device.known_sites = _sites(SiteVerdict.ENTRY, SiteVerdict.BUSY)
    _trace(world, (0x1002, 0x1004, 0x1010))
    world.run(3.0)
    assert not world.target.region
    assert world.target.groups == []
    world.device.close()


def test_what_lost_in_another_process_is_not_tried() -> None:
    first = _World()
    first.hot()
    first.tick()
    _measure(first, 8, boosted=50)
    assert first.target.region == 0
    for native_ns, builds in (310, 0), (900, 1):
        world = _World(history=first.history)
        world.device.known_sites = _sites(
            SiteVerdict.HOT, SiteVerdict.HOT, native_ns=native_ns
        )
        world.hot()
        world.run(1.0)
        assert world.builds == builds
        world.device.close()
    first.device.close()


def test_nor_what_ends_too_early_by_another_ones_ways() -> None:
    first = _alone()
    world = _World(policy=_ALONE, history=first.history)
    world.device.known_sites = _sites(SiteVerdict.HOT, SiteVerdict.BUSY)
    world.hot()
    world.run(3.0)
    assert world.builds == 0
    assert world.target.decisions.suppressions.disabled_entries() == sites(0x1002)
    for each in first, world:
        each.device.close()


def test_a_gap_through_much_code_is_too_long(world: _World) -> None:
    world.hot()
    world.run(1.0)
    world.device.known_sites = [Site(0x1002, 39, SiteVerdict.ENTRY, native_ns=3000)]
    _trace(
        world, tuple(range(0x1002, 0x1002 + world.policy.admission.max_distinct + 1))
    )
    suppression = world.target.decisions.suppressions.get(SiteKey(0x1002, 39))
    assert suppression is not None
    assert suppression.barrier
    assert "different instructions" in suppression.reason
    # The module thinks otherwise, but has not seen the path.
    world.device.known_sites = [Site(0x1002, 39, SiteVerdict.HOT, native_ns=3000)]
    world.hot()
    world.run(3.0)
    assert world.target.groups == []


def test_the_gap_behind_one_of_several_calls_may_be_long(world: _World) -> None:
    """Where one instruction makes several: the others are boosted all the same."""
    wait, read = SiteKey(0x1002, 232), SiteKey(0x1002, 0)
    world.event(EventType.HOT, ip=0x1002, nr=read.nr)
    world.device.known_sites = [
        Site(*wait, SiteVerdict.LONG, native_ns=9000, native_samples=32),
        Site(*read, SiteVerdict.HOT, native_ns=300, native_samples=32),
    ]
    world.run(1.0)
    assert world.target.profile.barriers == {wait}
    assert [group.live_entries for group in world.target.groups] == [(read,)]
    # So it is when a path shows it, before the module has timed it.
    accept = SiteKey(0x1002, 43)
    long = tuple(range(0x1002, 0x1002 + world.policy.admission.max_distinct + 1))
    world.event(EventType.HOT, ip=0x1002, nr=accept.nr)
    world.device.paths.append(Path(*accept, long))
    world.event(EventType.PATH, ip=0x1002)
    world.run(1.0)
    assert world.target.decisions.suppressions.barriers() == {wait, accept}
    assert [group.live_entries for group in world.target.groups] == [(read,)]
    decided = world.target.decide(world.device.known_sites[1])
    assert decided == Probe("its region is on trial")


def test_a_loop_may_take_as_many_instructions(world: _World) -> None:
    world.hot()
    world.run(1.0)
    _trace(world, (0x1002, 0x1004) * 1000)
    assert world.target.decisions.suppressions.get(SiteKey(0x1002, 39)) is None


def test_a_process_that_is_gone_has_no_way(world: _World) -> None:
    world.hot()
    world.device.gone = True
    _trace(world, (0x1002,))
    assert not world.target.profile.execution_counts


def test_deaths_of_which_nobody_told_are_found(world: _World) -> None:
    """By asking now and then, or when events were lost."""
    world.hot()
    world.tick()
    world.device.live.clear()
    world.run(2.0)
    assert world.target.region == 2
    assert world.device.unloaded == [1]
    world.device.live.clear()
    world.target.recover(world.now)
    assert world.target.region == 0
    world.run(2.0)
    assert world.target.region == 3


def test_a_dead_region_is_given_back(world: _World) -> None:
    world.hot()
    world.tick()
    world.event(EventType.DEAD, region=1, ip=0x1002)
    assert world.device.unloaded == [1]


def test_a_path_of_which_nobody_told_is_fetched(world: _World) -> None:
    world.device.paths.append(Path(0x1002, 5, (0x1002, 0x1010)))
    world.target.recover(world.now)
    assert not world.device.paths


def test_an_end_of_which_nobody_told_is_found(world: _World) -> None:
    world.device.counters = Stats(gone=True)
    world.target.recover(world.now)
    assert world.target.gone


def test_nothing_is_built_for_what_cannot_be_boosted(world: _World) -> None:
    world.device.counters = Stats(always=Decline.SECCOMP)
    world.target.attached(world.now)
    world.run(1.0)
    note = f"it is not boosted: {REASONS[Decline.SECCOMP]}"
    assert world.log == [f"process 42 (program): {note}", f"  {HINTS[Decline.SECCOMP]}"]
    world.event(EventType.HOT, ip=0x1002, exit=int(Decline.SECCOMP))
    world.run(100.0)
    assert world.builds == 0
    assert len(world.log) == 2
    summary = world.target.summary()
    assert summary.notes == (note,)
    assert summary.as_json()["declined_for"] == "seccomp"


def test_once_it_can_be_what_was_hot_is_built(world: _World) -> None:
    world.device.counters = Stats(always=Decline.PTRACE)
    world.target.attached(world.now)
    world.event(EventType.HOT, ip=0x1002, exit=int(Decline.PTRACE))
    world.run(10.0)
    assert world.builds == 0
    world.device.counters = Stats()
    world.run(Policy().max_look_interval * 2)
    assert world.builds >= 1
    assert world.target.region
    assert "can be boosted now" in world.log[-1]


def test_what_comes_later_is_noticed_too(world: _World) -> None:
    """A program that installs its filter once it is boosted."""
    world.hot()
    world.tick()
    assert world.builds == 1
    world.device.counters = Stats(always=Decline.SECCOMP)
    world.run(Policy().max_look_interval * 2)
    assert world.target.declined_for is Decline.SECCOMP
    world.hot(0x1012)
    world.run(10.0)
    assert world.builds == 1


def test_a_thread_that_cannot_be_boosted_does_not_matter_to_others(
    world: _World,
) -> None:
    world.event(EventType.HOT, ip=0x1012, exit=int(Decline.BREAKPOINT))
    world.run(1.0)
    assert world.builds == 0
    assert "some of its threads are not boosted" in world.log[0]
    world.event(EventType.HOT, ip=0x1002, exit=int(Decline.WORK))
    world.run(1.0)
    assert [e.user_ip for e in world.device.loads[-1].translation.entries] == [0x1002]
