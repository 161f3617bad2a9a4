# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from dataclasses import replace

from iced_x86 import Instruction

from tests.engine.samples import entered_at, sites
from ubypass.abi import Exit, ExitReason, SiteKey
from ubypass.device.types import Counts
from ubypass.engine.built import Built
from ubypass.engine.group import Group, absorb, group_of, group_with, without_entries
from ubypass.region.graph import Block, End, Region


def _built(*entries: int) -> Built:
    translation = entered_at(*entries, code=b"\xcc" * 10)
    return Built(Region({}, (), ()), translation)


def _live(region: int, *entries: int) -> Group:
    group = Group(sites(*entries[:1]))
    built = _built(*entries)
    group.set_live(region, built, built.translation)
    return group


def test_events_concern_the_group_whose_region_it_is_or_was() -> None:
    first, second = _live(1, 0x10), _live(2, 0x20, 0x22)
    groups = [first, second]
    assert group_with(groups, 2) is second
    second.set_live(3, _built(0x20), _built(0x20).translation)
    assert group_with(groups, 2) is second
    assert group_with(groups, 3) is second
    assert group_with(groups, 7) is None


def test_or_whose_code_it_is() -> None:
    first, second = _live(1, 0x10), _live(2, 0x20, 0x22)
    assert group_of([first, second], SiteKey(0x22, 39)) is second
    assert group_of([first, second], SiteKey(0x10, 39)) is first
    assert group_of([first, second], SiteKey(0x11, 39)) is None
    # Another call at the same address is another site.
    assert group_of([first, second], SiteKey(0x22, 0)) is None


def test_a_build_that_reaches_other_sites_takes_them_in() -> None:
    first, second, third = _live(1, 0x10), _live(2, 0x20), Group(sites(0x30))
    groups = [first, second, third]
    assert absorb(groups, first, sites(0x10, 0x20)) == [second]
    assert groups == [first, third]
    assert first.sites == sites(0x10, 0x20)
    assert absorb(groups, first, sites(0x10, 0x20)) == []


def test_the_end_of_a_region() -> None:
    group = _live(4, 0x10)
    assert group.code_bytes == 10
    group.set_dead()
    assert (group.region, group.former, group.code_bytes) == (0, 4, 0)
    assert group.live_entries == ()


def test_entries_can_be_left_out() -> None:
    translation = without_entries(_built(0x10, 0x20).translation, sites(0x10))
    assert [entry.user_ip for entry in translation.entries] == [0x20]


def test_a_region_lacks_what_it_often_leaves_for() -> None:
    group = _live(1, 0x10)
    assert group.loaded
    reasons = (ExitReason.FRONTIER, ExitReason.RET_MISS, ExitReason.WORK)
    exits = tuple(Exit(0x30 + n, reason) for n, reason in enumerate(reasons))
    group.loaded = replace(group.loaded, exits=exits)
    # Work that is pending is no lack.
    assert not group.misses_often(Counts((0, 0, 500), 1000, 500), ())
    assert group.misses_often(Counts((60, 40, 500), 2000, 600), ())
    # It counts from the last time on.
    assert not group.misses_often(Counts((60, 60, 500), 3000, 600), ())
    # Left on purpose.
    assert group.misses_often(Counts((160, 60, 500), 4000, 600), ())
    assert not group.misses_often(Counts((260, 60, 500), 5000, 600), {0x30})


def test_a_fault_may_be_for_a_register_that_holds_no_address() -> None:
    group = _live(1, 0x10)
    assert group.loaded
    exits = (Exit(0x30, ExitReason.FAULT), Exit(0x31, ExitReason.FAULT))
    group.loaded = replace(group.loaded, exits=exits, anchored=((0x30, 1 << 3),))
    assert not group.misses_often(Counts((0, 500), 1000, 500), ())
    assert group.misses_often(Counts((500, 500), 2000, 1000), ())


def test_few_runs_add_up_until_they_say_something() -> None:
    group = _live(1, 0x10)
    assert group.loaded
    exits = (Exit(0x30, ExitReason.FRONTIER),)
    group.loaded = replace(group.loaded, exits=exits)
    assert not group.misses_often(Counts((1,), 50, 1), ())
    assert group.misses_often(Counts((2,), 60, 1), ())
    assert not group.misses_often(Counts((2,), 100, 1), ())
    assert not group.misses_often(Counts((5,), 195, 1), ())
    assert group.last_counts == (195, 5)


def test_after_the_first_loads_growth_has_to_pay() -> None:
    group = _live(1, 0x10)
    assert group.built
    assert group.loaded
    block = Block(0x10, (Instruction(),) * 100, 0x200, End.FALL, (0x200,))
    built = replace(group.built, region=Region({0x10: block}, (), ()))
    loaded = replace(group.loaded, exits=(Exit(0x30, ExitReason.FRONTIER),))
    # 100 instructions take 4 ms to build, as long as 13,334 runs that end early.
    for loads in range(2, 9):
        group.set_live(loads, built, loaded)
        assert group.misses_often(Counts((1000,), 20_000, 1000), ()) == (loads < 8)
    assert not group.misses_often(Counts((13_000,), 200_000, 13_000), ())
    assert group.misses_often(Counts((14_000,), 215_000, 14_000), ())
    # If most runs end there, a usual path is missing.
    assert group.misses_often(Counts((15_000,), 218_000, 15_000), ())
    # Large regions have fewer free loads: three of 5,000 instructions take 600 ms.
    large = replace(block, instructions=(Instruction(),) * 5000)
    built = replace(built, region=Region({0x10: large}, (), ()))
    group = _live(1, 0x10)
    for loads in range(2, 6):
        group.set_live(loads, built, loaded)
        assert group.misses_often(Counts((1000,), 20_000, 1000), ()) == (loads < 4)
    group.add_site(SiteKey(0x20, 39))
    assert group.misses_often(Counts((2000,), 40_000, 1000), ())


def test_misses_that_became_rare_do_not_pay() -> None:
    group = _live(1, 0x10)
    assert group.loaded
    group.loaded = replace(group.loaded, exits=(Exit(0x30, ExitReason.FRONTIER),))
    group.rounds = 8
    assert group.misses_often(Counts((14_000,), 42_000, 14_000), ())
    assert not group.misses_often(Counts((14_010,), 200_000, 14_010), ())


def test_a_frozen_group_grows_again_once_a_site_joins() -> None:
    group = Group(sites(0x1002))
    group.begin_build()
    assert not group.needs_build
    group.refused(limit=2)
    group.request_growth()
    assert group.needs_build
    group.begin_build()
    group.refused(limit=2)
    assert group.frozen
    group.request_growth()
    group.mark_incomplete()
    assert not group.needs_build
    group.add_site(SiteKey(0x1002, 39))  # it has that one
    assert (group.needs_build, group.frozen) == (True, True)
    group.add_site(SiteKey(0x1012, 39))
    assert (group.frozen, group.refusals) == (False, 0)


def test_a_live_region_is_not_built_again_for_what_it_may_never_need() -> None:
    group = Group(sites(0x1002), region=7)
    group.begin_build()
    group.mark_incomplete()
    assert (group.needs_build, group.incomplete) == (False, True)
    group.request_build()
    group.begin_build()
    assert (group.needs_build, group.incomplete) == (False, False)


def test_a_site_that_is_an_entry_already_needs_no_build() -> None:
    group = _live(1, 0x10)
    here, other = SiteKey(0x10, 39), SiteKey(0x1002, 39)
    assert group.live_entries == (here,)
    group.sites = {other}
    group.begin_build()
    group.frozen = True
    group.add_site(here)
    assert (group.needs_build, group.incomplete, group.frozen) == (False, True, False)
    assert group.sites == {here, other}
    # Another call at the same address is another site.
    group.add_site(SiteKey(0x10, 40))
    assert group.needs_build


def test_unproductive_loads_count_in_a_row() -> None:
    group = Group(sites(0x1002))
    counts = [group.count_unproductive(x) for x in (True, True, False, True)]
    assert counts == [1, 2, 0, 1]
