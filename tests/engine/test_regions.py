# SPDX-License-Identifier: GPL-2.0-only
"""Groups of sites become regions, with a played device and translator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.engine.fakes import FakeDevice, FakeMemory
from ubypass.abi import Entry, Exit, ExitReason, SiteKey, Source, Translation
from ubypass.cost.model import Range
from ubypass.device.client import SourceChanged
from ubypass.device.types import Event, Path
from ubypass.device.uapi import EventType
from ubypass.engine.built import Built, NothingToBuild, Postponed, Reached, Refused
from ubypass.engine.ports import MemoryLike
from ubypass.engine.profile import Profile
from ubypass.engine.regions import Caps, Grown, Regions
from ubypass.engine.site_graph import SiteGraph
from ubypass.engine.suppressions import Suppressions
from ubypass.region.graph import Region

_CODE = {0x1000: bytes(0x1000)}


def _at(ip: int) -> SiteKey:
    return SiteKey(ip, 39)


@dataclass
class _World:
    """``reach``: what a build of a site reaches besides; ``size`` of its code."""

    caps: Caps = field(default_factory=Caps)
    reach: dict[SiteKey, set[SiteKey]] = field(default_factory=dict)
    size: int = 100
    refuse: bool = False
    postpone: float = 0.0
    doubt: str = ""
    now: float = 0.0
    seconds: float = 0.0
    built: list[frozenset[SiteKey]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.device = FakeDevice()
        self.device.misses = 500
        self.profile = Profile()
        self.suppressions = Suppressions()
        self.graph = SiteGraph()
        self.regions = Regions(
            self.device.attach(1),
            self.device,
            FakeMemory(dict(_CODE)),
            self._build,
            self.profile,
            self.suppressions,
            self.caps,
            graph=self.graph,
        )

    def _build(self, profile: Profile, memory: MemoryLike) -> Built:
        self.now += self.seconds
        if self.refuse:
            raise Refused("no")
        if self.postpone:
            raise Postponed(self.postpone)
        if not profile.entries:
            raise NothingToBuild
        reached = set(profile.entries)
        for site in profile.entries:
            reached |= self.reach.get(site, set())
        reached -= profile.barriers
        if others := profile.others.intersection(reached):
            raise Reached(others)
        self.built.append(frozenset(profile.entries))
        starts = repr((sorted(reached), sorted(profile.frontiers))).encode()
        translation = Translation(
            code=starts.ljust(self.size, b"\xcc"),
            entries=tuple(Entry(ip, 0, nr) for ip, nr in sorted(reached)),
            exits=(Exit(0x1000, ExitReason.FRONTIER),),
            faults=(),
            dispatches=(),
            jumps=(),
            sources=(Source(0x1000, b"\x0f\x05"),),
            constants=0,
        )
        return Built(Region({}, (), ()), translation, self.doubt)

    def hot(self, *sites: int) -> list[str]:
        said = []
        for ip in sites:
            event = Event(EventType.HOT, 1, nr=39, ip=ip)
            self.profile.add_event(event)
            said.append(self.regions.on_event(event))
        return said

    def grow(self) -> Grown:
        return self.regions.grow(lambda: self.now)

    def live(self) -> list[list[int]]:
        """Entries of each live region."""
        return [
            [entry.user_ip for entry in translation.entries]
            for translation in self.device.live.values()
        ]


@pytest.fixture
def world() -> Iterator[_World]:
    world = _World()
    yield world
    world.device.close()


def test_doubts_of_the_verifier_are_passed_on() -> None:
    world = _World(doubt="with more checks")
    world.hot(0x1002)
    grown = world.grow()
    assert grown.loads == 1
    assert grown.notes == ["with more checks"]
    world.device.close()


def test_each_site_has_a_region_of_its_own(world: _World) -> None:
    world.hot(0x1002, 0x1102)
    assert world.grow().loads == 2
    assert world.live() == [[0x1002], [0x1102]]


def test_sites_that_reach_one_another_share_one(world: _World) -> None:
    world.reach = {_at(0x1002): {_at(0x1102)}}
    world.hot(0x1002, 0x1102)
    assert world.grow().loads == 1
    assert world.live() == [[0x1002, 0x1102]]
    assert len(world.regions.groups) == 1
    assert world.built == [{_at(0x1002), _at(0x1102)}]


def test_regions_that_grow_together_are_merged(world: _World) -> None:
    world.hot(0x1002, 0x1102, 0x1202)
    world.grow()
    world.reach = {_at(0x1102): {_at(0x1002)}}
    world.regions.invalidate(_at(0x1102))
    world.grow()
    # The merged one is live before the one that it took in is unloaded.
    assert world.live() == [[0x1202], [0x1002, 0x1102]]
    assert world.device.unloaded == [1]


def test_sites_that_traced_gaps_connect_are_built_once(world: _World) -> None:
    world.reach = {_at(0x1002): {_at(0x1102), _at(0x1202)}}
    world.graph.add_edge(_at(0x1002), _at(0x1102), Range(1, 1, 1))
    world.graph.add_edge(_at(0x1102), _at(0x1202), Range(1, 1, 1))
    world.hot(0x1002, 0x1102, 0x1202, 0x1302)
    world.grow()
    assert world.live() == [[0x1002, 0x1102, 0x1202], [0x1302]]
    first = frozenset(map(_at, (0x1002, 0x1102, 0x1202)))
    assert world.built == [first, frozenset({_at(0x1302)})]


def test_a_barrier_keeps_sites_apart(world: _World) -> None:
    world.graph.add_edge(_at(0x1002), _at(0x1102), Range(1, 1, 1))
    world.graph.add_edge(_at(0x1102), _at(0x1202), Range(1, 1, 1))
    world.hot(0x1002, 0x1102, 0x1202)
    world.suppressions.suppress_long(_at(0x1102), 100, "too long")
    world.grow()
    assert [0x1002] in world.live()
    assert [0x1202] in world.live()


def test_a_site_that_is_reached_already_joins(world: _World) -> None:
    world.reach = {_at(0x1002): {_at(0x1102)}}
    world.hot(0x1002)
    world.grow()
    world.hot(0x1102)
    assert world.grow().loads == 0
    assert len(world.regions.groups) == 1


def test_only_what_has_news_is_built(world: _World) -> None:
    world.hot(0x1002, 0x1102)
    world.grow()
    world.built.clear()
    world.profile.frontiers[0x1300] = 3
    miss = Event(EventType.MISS, 1, nr=int(ExitReason.FRONTIER), ip=0x1300, region=2)
    world.regions.on_event(miss)
    world.grow()
    assert world.built == [frozenset({_at(0x1102)})]


def test_more_regions_than_the_cap_are_refused(world: _World) -> None:
    world = _World(caps=Caps(regions=2))
    said = world.hot(0x1002, 0x1102, 0x1202)
    assert said[:2] == ["", ""]
    assert "2 regions" in said[2]
    world.grow()
    assert len(world.device.live) == 2
    world.device.close()


def test_more_code_than_the_cap_is_not_loaded(world: _World) -> None:
    world = _World(caps=Caps(code_bytes=1024), size=600)
    world.hot(0x1002, 0x1102)
    grown = world.grow()
    assert grown.loads == 1
    assert "KiB" in grown.notes[0]
    assert len(world.device.live) == 1
    world.device.close()


def test_building_stops_when_the_time_is_up() -> None:
    world = _World(caps=Caps(slice=0.5), seconds=0.4)
    world.hot(0x1002, 0x1102, 0x1202)
    grown = world.grow()
    assert (grown.loads, grown.unfinished) == (2, True)
    grown = world.grow()
    assert (grown.loads, grown.unfinished) == (1, False)
    world.device.close()


def test_a_region_that_never_settles_is_left_as_it_is() -> None:
    world = _World(caps=Caps(rounds=5))
    world.hot(0x1002)
    notes = []
    for step in range(50):
        world.profile.frontiers[0x1300 + step] = 3
        miss = Event(
            EventType.MISS, 1, nr=int(ExitReason.FRONTIER), ip=0x1300, region=step + 1
        )
        world.regions.on_event(miss)
        notes += world.grow().notes
    assert len(world.device.loads) == 5
    assert len(notes) == 1
    assert "still changed" in notes[0]
    assert world.live() == [[0x1002]]
    world.device.close()


def test_a_region_that_never_dispatches_is_not_built_for_ever() -> None:
    world = _World(caps=Caps(unproductive=4))
    world.device.dispatched = 0
    world.hot(0x1002)
    notes = []
    for step in range(50):
        world.profile.frontiers[0x1300 + step] = 3
        miss = Event(
            EventType.MISS, 1, nr=int(ExitReason.FRONTIER), ip=0x1300, region=step + 1
        )
        world.regions.on_event(miss)
        notes += world.grow().notes
    assert len(world.device.loads) == 4
    assert notes == ["runs end before any dispatch"]
    # What lives costs nothing: the module gives up its entries.
    assert world.live() == [[0x1002]]
    world.device.close()


def test_an_entry_that_does_not_pay_is_not_listed(world: _World) -> None:
    world.reach = {_at(0x1002): {_at(0x1102)}}
    world.hot(0x1002, 0x1102)
    world.grow()
    world.suppressions.suppress(_at(0x1002), "loses", 300, 0.0, barrier=False)
    assert world.regions.invalidate(_at(0x1002))
    world.grow()
    assert world.live() == [[0x1102]]
    world.suppressions.suppress(_at(0x1102), "loses", 300, 0.0, barrier=False)
    world.regions.invalidate(_at(0x1102))
    world.grow()
    assert world.live() == []


def test_a_stop_is_no_part_of_a_region(world: _World) -> None:
    world.reach = {_at(0x1002): {_at(0x1102)}}
    world.hot(0x1002)
    world.grow()
    world.suppressions.suppress(_at(0x1102), "long", 9000, 0.0, barrier=True)
    assert world.regions.invalidate(_at(0x1102))
    world.grow()
    assert world.live() == [[0x1002]]
    # One that is a barrier itself has nothing left.
    world.suppressions.suppress(_at(0x1002), "long", 9000, 0.0, barrier=True)
    world.regions.invalidate(_at(0x1002))
    world.grow()
    assert world.live() == []
    assert world.regions.groups == []


def test_code_that_changes_is_read_again(world: _World) -> None:
    world.device.refuse_loads.append(SourceChanged())
    world.hot(0x1002)
    grown = world.grow()
    assert (grown.loads, grown.lost_code) == (1, False)
    assert len(world.built) == 2
    world.device.refuse_loads.extend(SourceChanged() for _ in range(9))
    world.hot(0x1102)
    assert world.grow().lost_code


def test_what_is_refused_says_why_and_leaves_what_is_live(world: _World) -> None:
    world.hot(0x1002)
    world.grow()
    world.refuse = True
    world.regions.invalidate(_at(0x1002))
    assert world.grow().refused == ["no"]
    assert world.live() == [[0x1002]]


def test_dead_regions_are_built_again(world: _World) -> None:
    world.hot(0x1002)
    world.grow()
    assert not world.regions.on_dead(7)
    assert world.regions.on_dead(1)
    assert world.regions.live == []
    world.device.live.clear()
    assert world.grow().loads == 1


def test_misses_at_dead_ends_are_expected(world: _World) -> None:
    world.hot(0x1002)
    world.grow()
    rest = Path(0x1000, None, (0x1000,))
    world.regions.mark_all_incomplete()
    world.profile.rests.dead_ends[0x1000] = rest
    world.device.misses, world.device.dispatched = 250, 10_000
    assert not world.regions.schedule_incomplete()
    world.profile.rests.dead_ends.clear()
    assert world.regions.schedule_incomplete()


def test_unless_they_are_too_frequent(world: _World) -> None:
    world.hot(0x1002)
    world.grow()
    world.profile.rests.dead_ends[0x1000] = Path(0x1000, None, (0x1000, 0x1004))
    assert world.regions.schedule_incomplete()
    assert world.profile.rests.dead_ends == {}
    assert world.profile.execution_counts == {0x1000: 1, 0x1004: 1}


def test_misses_of_replaced_regions_are_stale(world: _World) -> None:
    world.hot(0x1002)
    world.grow()
    frontier = Event(EventType.MISS, 1, nr=int(ExitReason.FRONTIER), region=1)
    assert not world.regions.is_stale(frontier)
    assert world.regions.is_stale(
        Event(EventType.MISS, 1, nr=int(ExitReason.FRONTIER), region=9)
    )
    assert not world.regions.is_stale(
        Event(EventType.MISS, 1, nr=int(ExitReason.RET_MISS), region=9)
    )


def test_everything_can_be_dropped(world: _World) -> None:
    world.hot(0x1002, 0x1102)
    world.grow()
    world.regions.drop_all()
    assert world.device.live == {}
    assert world.regions.groups == []


def test_a_build_that_another_machine_makes_is_asked_for_later(world: _World) -> None:
    world.postpone = 0.5
    world.hot(0x1002, 0x1102)
    grown = world.grow()
    assert (grown.loads, grown.postponed, grown.refused) == (0, 0.5, [])
    assert world.live() == []
    world.postpone = 0.0
    assert world.grow().loads == 2
    # What is live stays while a better one is waited for.
    world.postpone = 0.2
    world.regions.invalidate(_at(0x1002))
    assert world.grow().postponed == 0.2
    assert len(world.live()) == 2
