# SPDX-License-Identifier: GPL-2.0-only
"""What counts as news, and that nothing grows without bound."""

from __future__ import annotations

from dataclasses import replace

from ubypass.abi import ExitReason
from ubypass.device.types import Event, Path
from ubypass.device.uapi import EventType
from ubypass.engine.knowledge import Knowledge, Limits


def _hot(ip: int, nr: int = 0, stack: tuple[int, ...] = ()) -> Event:
    return Event(EventType.HOT, 1, nr=nr, ip=ip, stack=stack)


def _miss(reason: ExitReason, ip: int, target: int = 0) -> Event:
    return Event(EventType.MISS, 1, nr=int(reason), ip=ip, target=target)


def test_a_hot_site_is_news_once() -> None:
    knowledge = Knowledge()
    assert knowledge.learn(_hot(0x1000, 17, (1, 2)))
    assert not knowledge.learn(_hot(0x1000, 17, (3, 4)))
    assert knowledge.entries[0x1000].nr == 17
    assert knowledge.entries[0x1000].stacks == [(1, 2), (3, 4)]


def test_another_call_number_at_a_site_is_news() -> None:
    knowledge = Knowledge()
    knowledge.learn(_hot(0x1000, 0))
    assert knowledge.learn(_hot(0x1000, 1))
    assert not knowledge.learn(_hot(0x1000, 0))
    assert knowledge.numbers == {0x1000: {0: 2, 1: 1}}


def test_a_missed_call_number_is_news_when_it_is_missed_repeatedly() -> None:
    knowledge = Knowledge(Limits(warm=3, stubborn=8))
    # The event has the address of the call, the site is where it returns to.
    read = _miss(ExitReason.SYSCALL, 0x1000, 0)
    assert _news(knowledge, read, 9) == [3, 8]
    assert _news(knowledge, _miss(ExitReason.SYSCALL, 0x1000, 1), 2) == []
    assert knowledge.numbers == {0x1002: {0: 9, 1: 2}}


def test_the_call_before_a_traced_way_is_known_as_well() -> None:
    knowledge = Knowledge()
    knowledge.number(0x1002, 17)
    assert knowledge.follow(Path(0x1002, 39, (0x1002, 0x1004)))
    assert knowledge.follow(Path(0x1002, 40, (0x1002, 0x1004)))
    assert not knowledge.follow(Path(0x1002, 40, (0x1002, 0x1004)))
    assert knowledge.numbers == {0x1002: {17: 0, 39: 1, 40: 2}}


def test_numbers_are_bounded() -> None:
    knowledge = Knowledge(Limits(sites=2, numbers=2))
    for ip in (1, 2, 3):
        for nr in (7, 8, 9):
            knowledge.number(ip, nr)
            knowledge.learn(_miss(ExitReason.SYSCALL, ip - 2, nr))
    assert knowledge.numbers == {1: {7: 1, 8: 1}, 2: {7: 1, 8: 1}}
    # What has no room is no news for ever.
    assert not knowledge.follow(Path(1, 9, ()))
    assert knowledge.learn(_hot(1, 9))
    assert not knowledge.learn(_hot(1, 10))


def _news(knowledge: Knowledge, event: Event, times: int) -> list[int]:
    """Which of so many of the same event are news."""
    return [n for n in range(1, times + 1) if knowledge.learn(event)]


def test_a_missed_target_is_news_when_it_is_missed_repeatedly() -> None:
    knowledge = Knowledge(Limits(warm=3))
    for reason, ip in (
        (ExitReason.RET_MISS, 0x10),
        (ExitReason.CALL_MISS, 0x11),
        (ExitReason.JUMP_MISS, 0x12),
    ):
        assert _news(knowledge, _miss(reason, ip, 0x20), 9) == [3, 8]
    assert _news(knowledge, _miss(ExitReason.RET_MISS, 0x10, 0x30), 2) == []
    assert knowledge.targets == {
        0x10: {0x20: 9, 0x30: 2},
        0x11: {0x20: 9},
        0x12: {0x20: 9},
    }


def test_frontiers_become_starts_when_they_are_warm_and_again_when_hot() -> None:
    knowledge = Knowledge(Limits(warm=3, stubborn=8))
    frontier = _miss(ExitReason.FRONTIER, 0x99)
    assert _news(knowledge, frontier, 2) == []
    assert knowledge.warm_starts == ()
    assert _news(knowledge, frontier, 20) == [1, 6]
    assert knowledge.warm_starts == (0x99,)


def test_effort_rises_for_what_stays_out_of_reach_and_then_ends() -> None:
    knowledge = Knowledge(Limits(effort=3, stubborn=2))
    knowledge.starts = {0x99: 1}
    assert not knowledge.raise_effort(())  # once is not often
    knowledge.starts = {0x99: 2}
    assert not knowledge.raise_effort({0x99})  # reached already
    efforts = []
    while knowledge.raise_effort(()):
        efforts.append(knowledge.effort)
    assert efforts == [1, 2, 3]
    # What has been explored so far stays explored so far.
    assert knowledge.effort == 3


def test_targets_that_stay_out_of_reach_count_as_well() -> None:
    knowledge = Knowledge(Limits(stubborn=2))
    knowledge.targets = {0x10: {0x20: 2, 0x30: 1}}
    assert not knowledge.raise_effort({0x20})
    assert knowledge.raise_effort({0x30})


def test_targets_that_were_missed_often_are_explored_from() -> None:
    knowledge = Knowledge(Limits(warm=3))
    knowledge.starts = {0x99: 3}
    knowledge.targets = {0x10: {0x20: 3, 0x30: 2}}
    assert knowledge.warm_starts == (0x99, 0x20)


def test_exits_that_teach_nothing_are_no_news() -> None:
    knowledge = Knowledge()
    for reason in (
        ExitReason.UNSUPPORTED,
        ExitReason.BUDGET,
        ExitReason.WORK,
        ExitReason.DISPATCHED,
        ExitReason.STACK,
    ):
        assert not knowledge.learn(_miss(reason, 0x10, 0x20))
    assert not knowledge.learn(_miss(ExitReason.RET_MISS, 0x10, 0))
    # An access that failed: a page that is not there yet, perhaps.
    assert not knowledge.learn(_miss(ExitReason.FAULT, 0x10, 0))
    assert knowledge == Knowledge()


def test_a_register_that_holds_no_address_is_news_once() -> None:
    knowledge = Knowledge(Limits(warm=3))
    rbx, both = 1 << 3, 1 << 3 | 1 << 12
    assert _news(knowledge, _miss(ExitReason.FAULT, 0x10, rbx), 2) == []
    assert knowledge.nonpointers == {}
    assert _news(knowledge, _miss(ExitReason.FAULT, 0x10, both), 2) == [1]
    assert knowledge.nonpointers == {0x10: rbx}
    # The other register, and then never again.
    assert _news(knowledge, _miss(ExitReason.FAULT, 0x10, both), 99) == [1]
    assert knowledge.nonpointers == {0x10: both}
    assert knowledge.missed == {}


def test_such_instructions_are_bounded_inherited_and_forgotten_with_their_code() -> (
    None
):
    knowledge = Knowledge(Limits(warm=1, strange=2))
    for ip in (0x20, 0x10, 0x30):
        knowledge.learn(_miss(ExitReason.FAULT, ip, 1 << 3))
    assert not knowledge.learn(_miss(ExitReason.FAULT, 0x40, 1 << 3))
    assert list(knowledge.nonpointers) == [0x10, 0x20]
    child = knowledge.inherited()
    assert child.nonpointers == knowledge.nonpointers
    child.learn(_miss(ExitReason.FAULT, 0x10, 1 << 4))
    assert child.nonpointers != knowledge.nonpointers
    knowledge.forget_unless(lambda ip: ip < 0x20)
    assert knowledge.nonpointers == {0x10: 1 << 3}


def test_every_table_is_bounded() -> None:
    knowledge = Knowledge(Limits(entries=2, starts=3, branches=2, targets=2, stacks=1))
    for n in range(10):
        knowledge.learn(_hot(0x1000 + n))
        knowledge.learn(_hot(0x1000, stack=(n,)))
        knowledge.learn(_miss(ExitReason.FRONTIER, 0x2000 + n))
        knowledge.learn(_miss(ExitReason.RET_MISS, 0x3000 + n, 0x4000))
        knowledge.learn(_miss(ExitReason.RET_MISS, 0x3000, 0x4000 + n))
    assert len(knowledge.entries) == 2
    assert len(knowledge.entries[0x1000].stacks) == 1
    assert len(knowledge.starts) == 3
    assert len(knowledge.targets) == 2
    assert len(knowledge.targets[0x3000]) == 2
    assert not knowledge.learn(_miss(ExitReason.FRONTIER, 0x9999))


def test_what_is_no_longer_code_is_forgotten() -> None:
    knowledge = Knowledge()
    knowledge.learn(_hot(0x1000))
    knowledge.learn(_hot(0x9000))
    knowledge.learn(_miss(ExitReason.FRONTIER, 0x9001))
    knowledge.learn(_miss(ExitReason.RET_MISS, 0x1001, 0x1002))
    knowledge.learn(_miss(ExitReason.RET_MISS, 0x1001, 0x9002))
    knowledge.learn(_miss(ExitReason.RET_MISS, 0x9003, 0x1002))
    knowledge.forget_unless(lambda address: address < 0x9000)
    assert list(knowledge.entries) == [0x1000]
    assert knowledge.starts == {}
    assert knowledge.targets == {0x1001: {0x1002: 1}}


def test_samples_add_up_and_are_bounded() -> None:
    knowledge = Knowledge(Limits(samples=2))
    knowledge.add_samples({0x10: 1, 0x20: 2})
    knowledge.add_samples({0x10: 5, 0x30: 9})
    assert knowledge.samples == {0x10: 6, 0x20: 2}


def test_one_stack_of_each_missed_branch_is_kept() -> None:
    knowledge = Knowledge(Limits(misses=1))
    miss = _miss(ExitReason.CALL_MISS, 0x10, 0x20)
    knowledge.learn(replace(miss, stack=(1, 2)))
    knowledge.learn(replace(miss, stack=(3, 4)))
    knowledge.learn(replace(miss, ip=0x11, stack=(5, 6)))
    assert knowledge.missed == {0x10: (1, 2)}


def test_a_traced_way_is_news_until_it_is_known() -> None:
    knowledge = Knowledge()
    knowledge.learn(_hot(0x1000))
    assert not knowledge.is_traced
    way = Path(0x1000, 1, (0x1000, 0x1002, 0x2000, 0x2004, 0x1007, 0x1009))
    assert knowledge.follow(way)
    assert knowledge.is_traced
    assert not knowledge.follow(way)
    assert knowledge.trodden == dict.fromkeys(way.ips, 2)
    assert knowledge.jumps == {0x1002: {0x2000: 2}, 0x2004: {0x1007: 2}}
    # The same instructions in another order: one jump is new.
    assert knowledge.follow(Path(0x1000, 1, (0x1000, 0x1002, 0x2000, 0x1009)))
    # Another entry has to be traced as well.
    knowledge.learn(_hot(0x5000))
    assert not knowledge.is_traced
    assert knowledge.only({0x1000}).is_traced


def test_traced_ways_are_bounded_and_forgotten_with_their_code() -> None:
    knowledge = Knowledge(Limits(trodden=3))
    assert knowledge.follow(Path(0x1000, 1, (0x1000, 0x1002, 0x3000)))
    assert not knowledge.follow(Path(0x1000, 1, (0x1000, 0x1004)))
    assert knowledge.trodden == {0x1000: 1, 0x1002: 1, 0x3000: 1}
    knowledge.forget_unless(lambda ip: ip < 0x2000)
    assert knowledge.trodden == {0x1000: 1, 0x1002: 1}
    child = knowledge.inherited()
    assert child.trodden == knowledge.trodden
    assert child.traced == {0x1000}


def test_a_traced_branch_has_so_many_targets_and_no_more() -> None:
    knowledge = Knowledge(Limits(targets=2))
    for target in (0x2000, 0x3000, 0x4000):
        knowledge.follow(Path(0x1000, 1, (0x1000, target)))
    assert knowledge.jumps == {0x1000: {0x2000: 1, 0x3000: 1}}


def test_where_ways_are_traced_there_is_no_search() -> None:
    knowledge = Knowledge(Limits(warm=1, stubborn=2))
    knowledge.learn(_hot(0x1000))
    for _ in range(2):
        knowledge.learn(_miss(ExitReason.FRONTIER, 0x99))
    assert replace(knowledge).raise_effort(reached=set())
    knowledge.follow(Path(0x1000, 1, (0x1000,)))
    assert not replace(knowledge).raise_effort(reached=set())
