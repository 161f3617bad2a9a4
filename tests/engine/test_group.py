# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from dataclasses import replace

from ubypass.abi import Entry, Exit, ExitReason, Translation
from ubypass.device.types import Counts
from ubypass.engine.built import Built
from ubypass.engine.group import Group, absorb, group_of, listed
from ubypass.region.graph import Region


def _built(*entries: int) -> Built:
    translation = Translation(
        code=b"\xcc" * 10,
        entries=tuple(Entry(ip, 0) for ip in entries),
        exits=(),
        faults=(),
        dispatches=(),
        jumps=(),
        sources=(),
        constants=10,
    )
    return Built(Region({}, (), ()), translation)


def _live(region: int, *entries: int) -> Group:
    group = Group(set(entries[:1]))
    built = _built(*entries)
    group.live(region, built, built.translation)
    return group


def test_events_concern_the_group_whose_region_it_is_or_was() -> None:
    first, second = _live(1, 0x10), _live(2, 0x20, 0x22)
    groups = [first, second]
    assert group_of(groups, 2, 0x10) is second
    second.live(3, _built(0x20), _built(0x20).translation)
    assert group_of(groups, 2, 0) is second
    assert group_of(groups, 3, 0) is second
    assert group_of(groups, 7, 0) is None


def test_or_whose_code_it_is() -> None:
    first, second = _live(1, 0x10), _live(2, 0x20, 0x22)
    assert group_of([first, second], 0, 0x22) is second
    assert group_of([first, second], 0, 0x10) is first
    assert group_of([first, second], 0, 0x11) is None


def test_a_build_that_reaches_other_sites_takes_them_in() -> None:
    first, second, third = _live(1, 0x10), _live(2, 0x20), Group({0x30})
    groups = [first, second, third]
    assert absorb(groups, first, _built(0x10, 0x20)) == [second]
    assert groups == [first, third]
    assert first.sites == {0x10, 0x20}
    assert absorb(groups, first, _built(0x10, 0x20)) == []


def test_the_end_of_a_region() -> None:
    group = _live(4, 0x10)
    assert group.code_bytes == 10
    group.dead()
    assert (group.region, group.former, group.code_bytes) == (0, 4, 0)
    assert group.live_entries == ()


def test_entries_can_be_left_out() -> None:
    translation = listed(_built(0x10, 0x20).translation, {0x10})
    assert [entry.user_ip for entry in translation.entries] == [0x20]


def test_a_region_lacks_what_it_often_leaves_for() -> None:
    group = _live(1, 0x10)
    assert group.loaded
    reasons = (ExitReason.FRONTIER, ExitReason.RET_MISS, ExitReason.WORK)
    exits = tuple(Exit(0x30 + n, reason) for n, reason in enumerate(reasons))
    group.loaded = replace(group.loaded, exits=exits)
    # Work that is pending is no lack.
    assert not group.lacks(Counts((0, 0, 500), 1000, 500), ())
    assert group.lacks(Counts((60, 40, 500), 2000, 600), ())
    # It counts from the last time on.
    assert not group.lacks(Counts((60, 60, 500), 3000, 600), ())
    # Left on purpose.
    assert group.lacks(Counts((160, 60, 500), 4000, 600), ())
    assert not group.lacks(Counts((260, 60, 500), 5000, 600), {0x30})


def test_a_fault_may_be_for_a_register_that_holds_no_address() -> None:
    group = _live(1, 0x10)
    assert group.loaded
    exits = (Exit(0x30, ExitReason.FAULT), Exit(0x31, ExitReason.FAULT))
    group.loaded = replace(group.loaded, exits=exits, anchored=((0x30, 1 << 3),))
    assert not group.lacks(Counts((0, 500), 1000, 500), ())
    assert group.lacks(Counts((500, 500), 2000, 1000), ())


def test_few_runs_add_up_until_they_say_something() -> None:
    group = _live(1, 0x10)
    assert group.loaded
    exits = (Exit(0x30, ExitReason.FRONTIER),)
    group.loaded = replace(group.loaded, exits=exits)
    assert not group.lacks(Counts((1,), 50, 1), ())
    assert group.lacks(Counts((2,), 60, 1), ())
    assert not group.lacks(Counts((2,), 100, 1), ())
    assert not group.lacks(Counts((5,), 195, 1), ())
    assert group.counted == (195, 5)
