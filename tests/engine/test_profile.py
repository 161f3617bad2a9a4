# SPDX-License-Identifier: GPL-2.0-only
"""What counts as news, and that nothing grows without bound."""

from __future__ import annotations

from dataclasses import replace

from ubypass.abi import ExitReason, SiteKey
from ubypass.device.types import Event, Path
from ubypass.device.uapi import EventType
from ubypass.engine.profile import Limits, Profile
from ubypass.engine.rests import Rests


def _hot(ip: int, nr: int = 0, stack: tuple[int, ...] = ()) -> Event:
    return Event(EventType.HOT, 1, nr=nr, ip=ip, stack=stack)


def _miss(reason: ExitReason, ip: int, target: int = 0) -> Event:
    return Event(EventType.MISS, 1, nr=int(reason), ip=ip, target=target)


def test_a_hot_site_is_news_once() -> None:
    profile = Profile()
    assert profile.add_event(_hot(0x1000, 17, (1, 2)))
    assert not profile.add_event(_hot(0x1000, 17, (3, 4)))
    assert profile.entries[SiteKey(0x1000, 17)].stacks == [(1, 2), (3, 4)]


def test_another_call_number_at_a_site_is_news() -> None:
    profile = Profile()
    profile.add_event(_hot(0x1000, 0))
    assert profile.add_event(_hot(0x1000, 1))
    assert not profile.add_event(_hot(0x1000, 0))
    assert profile.call_numbers == {0x1000: {0: 2, 1: 1}}
    # Each is a site of its own.
    assert profile.entries.keys() == {SiteKey(0x1000, 0), SiteKey(0x1000, 1)}


def test_the_call_at_the_end_of_a_traced_path_is_known() -> None:
    profile = Profile()
    assert profile.add_path(Path(0x1002, 39, (0x1002, 0x1010), 17))
    assert profile.call_numbers == {0x1002: {39: 1}, 0x1012: {17: 1}}
    # It is not hot for that.
    assert profile.traced_entries == {SiteKey(0x1002, 39)}


def test_code_behind_a_barrier_is_not_missing() -> None:
    profile = Profile(Limits(warm=1))
    profile.set_barriers({SiteKey(0x1002, 232)})
    assert not profile.add_event(_miss(ExitReason.FRONTIER, 0x1002))
    assert profile.add_event(_miss(ExitReason.FRONTIER, 0x1012))
    # Another call there is traced and entered all the same.
    profile.add_event(_hot(0x1002, 0))
    assert not profile.is_traced
    profile.add_path(Path(0x1002, 0, (0x1002,)))
    assert profile.is_traced


def test_a_missed_call_number_is_news_when_it_is_missed_repeatedly() -> None:
    profile = Profile(Limits(warm=3, stubborn=8))
    # The event has the address of the call, the site is where it returns to.
    read = _miss(ExitReason.SYSCALL, 0x1000, 0)
    assert _news(profile, read, 9) == [3, 8]
    assert _news(profile, _miss(ExitReason.SYSCALL, 0x1000, 1), 2) == []
    assert profile.call_numbers == {0x1002: {0: 9, 1: 2}}


def test_the_call_before_a_traced_path_is_known_as_well() -> None:
    profile = Profile()
    profile.count_call(0x1002, 17)
    assert profile.add_path(Path(0x1002, 39, (0x1002, 0x1004)))
    assert profile.add_path(Path(0x1002, 40, (0x1002, 0x1004)))
    assert not profile.add_path(Path(0x1002, 40, (0x1002, 0x1004)))
    assert profile.call_numbers == {0x1002: {17: 0, 39: 1, 40: 2}}


def test_numbers_are_bounded() -> None:
    profile = Profile(Limits(sites=2, numbers=2))
    for ip in (1, 2, 3):
        for nr in (7, 8, 9):
            profile.count_call(ip, nr)
            profile.add_event(_miss(ExitReason.SYSCALL, ip - 2, nr))
    assert profile.call_numbers == {1: {7: 1, 8: 1}, 2: {7: 1, 8: 1}}
    # What has no room is no news for ever.
    assert not profile.add_path(Path(1, 9, ()))
    assert profile.add_event(_hot(1, 9))
    assert not profile.add_event(_hot(1, 9))


def _news(profile: Profile, event: Event, times: int) -> list[int]:
    """Which of so many of the same event are news."""
    return [n for n in range(1, times + 1) if profile.add_event(event)]


def test_a_missed_target_is_news_when_it_is_missed_repeatedly() -> None:
    profile = Profile(Limits(warm=3))
    for reason, ip in (
        (ExitReason.RET_MISS, 0x10),
        (ExitReason.CALL_MISS, 0x11),
        (ExitReason.JUMP_MISS, 0x12),
    ):
        assert _news(profile, _miss(reason, ip, 0x20), 9) == [3, 8]
    assert _news(profile, _miss(ExitReason.RET_MISS, 0x10, 0x30), 2) == []
    assert profile.branch_targets == {
        0x10: {0x20: 9, 0x30: 2},
        0x11: {0x20: 9},
        0x12: {0x20: 9},
    }


def test_frontiers_become_starts_when_they_are_warm_and_again_when_hot() -> None:
    profile = Profile(Limits(warm=3, stubborn=8))
    frontier = _miss(ExitReason.FRONTIER, 0x99)
    assert _news(profile, frontier, 2) == []
    assert profile.seeds == ()
    assert _news(profile, frontier, 20) == [1, 6]
    assert profile.seeds == (0x99,)


def test_effort_rises_for_what_stays_out_of_reach_and_then_ends() -> None:
    profile = Profile(Limits(effort=3, stubborn=2))
    profile.frontiers = {0x99: 1}
    assert not profile.raise_effort(())  # once is not often
    profile.frontiers = {0x99: 2}
    assert not profile.raise_effort({0x99})  # reached already
    efforts = []
    while profile.raise_effort(()):
        efforts.append(profile.effort)
    assert efforts == [1, 2, 3]
    # What has been explored so far stays explored so far.
    assert profile.effort == 3


def test_targets_that_stay_out_of_reach_count_as_well() -> None:
    profile = Profile(Limits(stubborn=2))
    profile.branch_targets = {0x10: {0x20: 2, 0x30: 1}}
    assert not profile.raise_effort({0x20})
    assert profile.raise_effort({0x30})


def test_targets_that_were_missed_often_are_explored_from() -> None:
    profile = Profile(Limits(warm=3))
    profile.frontiers = {0x99: 3}
    profile.branch_targets = {0x10: {0x20: 3, 0x30: 2}}
    assert profile.seeds == (0x99, 0x20)


def test_exits_that_teach_nothing_are_no_news() -> None:
    profile = Profile()
    for reason in (
        ExitReason.UNSUPPORTED,
        ExitReason.BUDGET,
        ExitReason.WORK,
        ExitReason.DISPATCHED,
        ExitReason.STACK,
    ):
        assert not profile.add_event(_miss(reason, 0x10, 0x20))
    assert not profile.add_event(_miss(ExitReason.RET_MISS, 0x10, 0))
    # An access that failed: a page that is not there yet, perhaps.
    assert not profile.add_event(_miss(ExitReason.FAULT, 0x10, 0))
    assert profile == Profile()


def test_a_register_that_holds_no_address_is_news_once() -> None:
    profile = Profile(Limits(warm=3))
    rbx, both = 1 << 3, 1 << 3 | 1 << 12
    assert _news(profile, _miss(ExitReason.FAULT, 0x10, rbx), 2) == []
    assert profile.nonpointers == {}
    assert _news(profile, _miss(ExitReason.FAULT, 0x10, both), 2) == [1]
    assert profile.nonpointers == {0x10: rbx}
    # The other register, and then never again.
    assert _news(profile, _miss(ExitReason.FAULT, 0x10, both), 99) == [1]
    assert profile.nonpointers == {0x10: both}
    assert profile.miss_stacks == {}


def test_such_instructions_are_bounded_inherited_and_forgotten_with_their_code() -> (
    None
):
    profile = Profile(Limits(warm=1, nonpointers=2))
    for ip in (0x20, 0x10, 0x30):
        profile.add_event(_miss(ExitReason.FAULT, ip, 1 << 3))
    assert not profile.add_event(_miss(ExitReason.FAULT, 0x40, 1 << 3))
    assert list(profile.nonpointers) == [0x10, 0x20]
    child = profile.inherited()
    assert child.nonpointers == profile.nonpointers
    child.add_event(_miss(ExitReason.FAULT, 0x10, 1 << 4))
    assert child.nonpointers != profile.nonpointers
    profile.forget_unless(lambda ip: ip < 0x20)
    assert profile.nonpointers == {0x10: 1 << 3}


def test_every_table_is_bounded() -> None:
    profile = Profile(Limits(entries=2, frontiers=3, branches=2, targets=2, stacks=1))
    for n in range(10):
        profile.add_event(_hot(0x1000 + n))
        profile.add_event(_hot(0x1000, stack=(n,)))
        profile.add_event(_miss(ExitReason.FRONTIER, 0x2000 + n))
        profile.add_event(_miss(ExitReason.RET_MISS, 0x3000 + n, 0x4000))
        profile.add_event(_miss(ExitReason.RET_MISS, 0x3000, 0x4000 + n))
    assert len(profile.entries) == 2
    assert len(profile.entries[SiteKey(0x1000, 0)].stacks) == 1
    assert len(profile.frontiers) == 3
    assert len(profile.branch_targets) == 2
    assert len(profile.branch_targets[0x3000]) == 2
    assert not profile.add_event(_miss(ExitReason.FRONTIER, 0x9999))


def test_what_is_no_longer_code_is_forgotten() -> None:
    profile = Profile()
    profile.add_event(_hot(0x1000))
    profile.add_event(_hot(0x9000))
    profile.add_event(_miss(ExitReason.FRONTIER, 0x9001))
    profile.add_event(_miss(ExitReason.RET_MISS, 0x1001, 0x1002))
    profile.add_event(_miss(ExitReason.RET_MISS, 0x1001, 0x9002))
    profile.add_event(_miss(ExitReason.RET_MISS, 0x9003, 0x1002))
    profile.forget_unless(lambda address: address < 0x9000)
    assert list(profile.entries) == [SiteKey(0x1000, 0)]
    assert profile.frontiers == {}
    assert profile.branch_targets == {0x1001: {0x1002: 1}}


def test_samples_add_up_and_are_bounded() -> None:
    profile = Profile(Limits(samples=2))
    profile.add_samples({0x10: 1, 0x20: 2})
    profile.add_samples({0x10: 5, 0x30: 9})
    assert profile.samples == {0x10: 6, 0x20: 2}


def test_one_stack_of_each_missed_branch_is_kept() -> None:
    profile = Profile(Limits(misses=1))
    miss = _miss(ExitReason.CALL_MISS, 0x10, 0x20)
    profile.add_event(replace(miss, stack=(1, 2)))
    profile.add_event(replace(miss, stack=(3, 4)))
    profile.add_event(replace(miss, ip=0x11, stack=(5, 6)))
    assert profile.miss_stacks == {0x10: (1, 2)}


def test_a_traced_path_is_news_until_it_is_known() -> None:
    profile = Profile()
    profile.add_event(_hot(0x1000))
    assert not profile.is_traced
    assert not profile.has_traced
    path = Path(0x1000, 0, (0x1000, 0x1002, 0x2000, 0x2004, 0x1007, 0x1009))
    assert profile.add_path(path)
    assert profile.is_traced
    assert not profile.add_path(path)
    assert profile.execution_counts == dict.fromkeys(path.ips, 2)
    assert profile.traced_jumps == {0x1002: {0x2000: 2}, 0x2004: {0x1007: 2}}
    # The same instructions in another order: one jump is new.
    assert profile.add_path(Path(0x1000, 0, (0x1000, 0x1002, 0x2000, 0x1009)))
    # Another entry has to be traced as well.
    profile.add_event(_hot(0x5000))
    assert not profile.is_traced
    assert profile.has_traced
    assert profile.restricted_to({SiteKey(0x1000, 0)}).is_traced
    assert profile.restricted_to({SiteKey(0x5000, 0)}).has_traced


def test_the_rest_of_a_gap_behind_a_miss_is_news_in_one_piece() -> None:
    profile = Profile()
    profile.add_path(Path(0x1000, 1, (0x1000, 0x1002)))
    rest = Path(0x3000, None, (0x3000, 0x3002, 0x4000, 0x1002))
    assert profile.add_path(rest)
    assert not profile.add_path(rest)
    # The address of a miss is no site: neither an entry nor one that makes calls.
    assert profile.traced_entries == {SiteKey(0x1000, 1)}
    assert profile.call_numbers == {0x1000: {1: 1}}
    # Its jumps are known, its instructions are not those of usual paths.
    assert profile.traced_jumps == {0x3002: {0x4000: 1}, 0x4000: {0x1002: 1}}
    assert profile.execution_counts == {0x1000: 1, 0x1002: 1}
    # Unless runs often end there.
    assert not profile.promote_rests({0x4000})
    assert profile.promote_rests({0x3000})
    assert profile.execution_counts[0x1002] == 2
    assert profile.execution_counts[0x3000] == 1


def test_a_long_rest_stays_native() -> None:
    profile = Profile(Limits(warm=3), rests=Rests(longest=4))
    frontier = _miss(ExitReason.FRONTIER, 0x3000)
    assert _news(profile, frontier, 3) == [3]
    assert profile.seeds == (0x3000,)
    assert not profile.add_path(Path(0x3000, None, tuple(range(0x3000, 0x3005))))
    assert profile.seeds == ()
    assert _news(profile, frontier, 20) == []
    # One target of a return says nothing about its other targets.
    assert not profile.add_path(Path(0x5000, None, tuple(range(0x5000, 0x5005))))
    assert set(profile.rests.dead_ends) == {0x3000}
    child = profile.inherited()
    profile.forget_unless(lambda ip: ip != 0x3000)
    assert not profile.rests.dead_ends
    # It is the usual path after all.
    assert child.promote_rests({0x3000})
    assert len(child.execution_counts) == 5
    assert child.seeds == (0x3000,)


def test_traced_paths_are_bounded_and_forgotten_with_their_code() -> None:
    profile = Profile(Limits(traced=3))
    assert profile.add_path(Path(0x1000, 1, (0x1000, 0x1002, 0x3000)))
    assert not profile.add_path(Path(0x1000, 1, (0x1000, 0x1004)))
    assert profile.execution_counts == {0x1000: 1, 0x1002: 1, 0x3000: 1}
    profile.forget_unless(lambda ip: ip < 0x2000)
    assert profile.execution_counts == {0x1000: 1, 0x1002: 1}
    child = profile.inherited()
    assert child.execution_counts == profile.execution_counts
    assert child.traced_entries == {SiteKey(0x1000, 1)}


def test_a_traced_branch_has_so_many_targets_and_no_more() -> None:
    profile = Profile(Limits(targets=2))
    for target in (0x2000, 0x3000, 0x4000):
        profile.add_path(Path(0x1000, 1, (0x1000, target)))
    assert profile.traced_jumps == {0x1000: {0x2000: 1, 0x3000: 1}}


def test_where_paths_are_traced_there_is_no_search() -> None:
    profile = Profile(Limits(warm=1, stubborn=2))
    profile.add_event(_hot(0x1000))
    for _ in range(2):
        profile.add_event(_miss(ExitReason.FRONTIER, 0x99))
    assert replace(profile).raise_effort(reached=set())
    profile.add_path(Path(0x1000, 1, (0x1000,)))
    profile.add_event(_hot(0x5000))
    assert not replace(profile).raise_effort(reached=set())
