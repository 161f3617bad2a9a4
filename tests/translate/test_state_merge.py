# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from tests.translate.states import put
from ubypass.region.liveness import ARITHMETIC
from ubypass.translate.cached_address import CONSTANT, THREAD
from ubypass.translate.interval import CLAMPED, SMALL, Interval
from ubypass.translate.profile import COLD, HOT, SOME
from ubypass.translate.registers import R11, RAX, RBX, RCX, RDI, RSP, assign_registers
from ubypass.translate.remat import Remat
from ubypass.translate.shown import EQUAL, SYSTEM, Shown
from ubypass.translate.state import Flags, Loc, State
from ubypass.translate.state_merge import (
    Incoming,
    Loop,
    Needs,
    _hoisted,
    _interval,
    _small,
    _widened,
    merge_states,
)

_ASSIGNMENT = assign_registers([0, 0, 0, 9, *[0] * 12])
_ALL = frozenset(range(16))


def _state(flags: int = Flags.HOST, **locs: int) -> State:
    state = put(State(), flags=flags)
    numbers = {"rax": RAX, "rbx": RBX, "rdi": RDI, "rcx": RCX, "r11": R11}
    for name, loc in locs.items():
        put(state, loc={numbers[name]: loc})
    return state


def _merge(*edges: Incoming, live: int = 0, previous: State | None = None) -> State:
    needs = Needs(live, _ALL, frozenset(), hot=True)
    return merge_states(list(edges), _ASSIGNMENT, needs, previous, 0)


def test_the_hot_edge_pays_nothing() -> None:
    hot = Incoming(HOT, _state(rax=Loc.H, rbx=Loc.B, rdi=Loc.M))
    cold = Incoming(COLD, _state(rax=Loc.M, rbx=Loc.M, rdi=Loc.B))
    merged = _merge(cold, hot)
    assert merged.loc[RAX] == Loc.H
    assert merged.loc[RBX] == Loc.B
    assert merged.loc[RDI] == Loc.M


def test_stale_wins_over_both() -> None:
    merged = _merge(Incoming(HOT, _state(rbx=Loc.B)), Incoming(COLD, _state(rbx=Loc.H)))
    assert merged.loc[RBX] == Loc.H


def test_what_a_system_call_leaves_needs_agreement() -> None:
    one, two = _state(rcx=Loc.S, r11=Loc.S), _state(rcx=Loc.S, r11=Loc.S)
    put(one, cx=0x1000)
    put(two, cx=0x1000)
    assert _merge(Incoming(HOT, one), Incoming(SOME, two)).loc[RCX] == Loc.S
    put(two, cx=0x2000)
    merged = _merge(Incoming(HOT, one), Incoming(SOME, two))
    # r11 holds the flags of the last dispatch, whichever that was.
    assert (merged.loc[RCX], merged.loc[R11]) == (Loc.M, Loc.S)
    # Once given up it does not come back: other edges were converted already.
    assert _merge(Incoming(HOT, one), previous=merged).loc[RCX] != Loc.S


def test_flags() -> None:
    sys, host, slot = _state(Flags.SYS), _state(Flags.HOST), _state(Flags.SLOT)
    # Nobody asks for them, but that an exit has them costs nothing.
    assert _merge(Incoming(HOT, sys)).flags == Flags.SYS
    assert _merge(Incoming(HOT, host)).flags == Flags.DEAD
    assert _merge(Incoming(HOT, sys), Incoming(HOT, host)).flags == Flags.DEAD
    live = ARITHMETIC
    assert _merge(Incoming(HOT, sys), live=live).flags == Flags.SYS
    # Nothing can bring flags into SYSFLAGS except a system call.
    both = (Incoming(HOT, sys), Incoming(COLD, host))
    assert _merge(*both, live=live).flags == Flags.HOST
    both = (Incoming(HOT, slot), Incoming(COLD, host))
    assert _merge(*both, live=live).flags == Flags.SLOT


def test_flags_that_can_be_rematerialized_stay_so() -> None:
    one, two = _state(Flags.REMAT, rbx=Loc.H), _state(Flags.HOST, rbx=Loc.B)
    remat = Remat(frozenset({RBX}), compare=b"1")
    put(one, remat=remat)
    put(two, remat=remat)
    edges = (Incoming(HOT, one), Incoming(SOME, two))
    merged = _merge(*edges, live=ARITHMETIC)
    assert (merged.flags, merged.remat) == (Flags.REMAT, one.remat)
    assert _merge(*edges).flags == Flags.DEAD
    # Where they were in the host flags before, code relies on that.
    before = _state(Flags.HOST)
    assert _merge(*edges, live=ARITHMETIC, previous=before).flags == Flags.HOST
    put(two, remat=Remat(frozenset({RBX}), compare=b"2"))
    assert _merge(*edges, live=ARITHMETIC).flags == Flags.HOST
    # Nothing in the host flags has to be rematerialized.
    put(one, flags=Flags.HOST)
    put(two, remat=one.remat)
    assert _merge(*edges, live=ARITHMETIC).flags == Flags.HOST


def test_what_an_exit_shows_holds_on_all_paths() -> None:
    one, two = _state(Flags.HOST), _state(Flags.HOST)
    shown = Shown(EQUAL.steps, frozenset({RBX}), equal=True)
    put(one, shown=shown)
    put(two, shown=shown)
    put(one, stale=0)
    put(two, stale=1)
    edges = (Incoming(HOT, one), Incoming(SOME, two))
    merged = _merge(*edges, live=ARITHMETIC)
    assert (merged.shown, merged.stale) == (shown, 1)
    # Once it was not known it stays so.
    assert _merge(*edges, previous=_state(Flags.HOST)).shown is None
    put(two, shown=shown.with_equal(False))
    assert _merge(*edges).shown == two.shown
    put(two, shown=SYSTEM)
    assert _merge(*edges).shown is None
    put(two, shown=None)
    assert _merge(*edges).shown is None


def test_intervals_are_those_of_the_hot_edges() -> None:
    hot, cold = _state(rbx=Loc.B), _state(rbx=Loc.B)
    put(hot, intervals={RBX: (8, 16, False, False)})
    merged = _merge(Incoming(HOT, hot), Incoming(COLD, cold))
    # With zero, because a guard and clamp on the cold edge leaves just that.
    assert merged.intervals[RBX] == (0, 16, False, False)
    merged = _merge(Incoming(HOT, hot), Incoming(HOT, cold))
    assert merged.intervals[RBX] is None


def test_a_small_register_with_too_many_intervals_is_given_up() -> None:
    edges = []
    for number in range(5):
        state = _state(rbx=Loc.B)
        put(state, intervals={RBX: (8 * number, 8 * number, False, True)})
        edges.append(Incoming(HOT, state))
    assert _merge(*edges[:4]).intervals[RBX] == (0, 24, False, True)
    # The verifier would lose patience.
    assert _merge(*edges).intervals[RBX] is None


def test_an_interval_that_keeps_growing_is_given_up() -> None:
    loop = Loop(frozenset(), frozenset())
    previous = _state(rbx=Loc.B)
    put(previous, intervals={RBX: (0, 8, False, False)})
    grown = _state(rbx=Loc.B)
    put(grown, intervals={RBX: (0, 16, False, False)})
    edges, needs = (
        [Incoming(HOT, grown)],
        Needs(0, _ALL, frozenset(), hot=True, loop=loop),
    )
    wide = merge_states(edges, _ASSIGNMENT, needs, previous, 1)
    assert wide.intervals[RBX] == (0, 1 << 16, False, False)
    put(grown, intervals={RBX: (0, 1 << 17, False, False)})
    lost = merge_states(edges, _ASSIGNMENT, needs, wide, 2)
    assert lost.intervals[RBX] is None


def test_an_interval_is_widened_where_its_cycle_pays() -> None:
    previous = _state(rbx=Loc.B)
    put(previous, intervals={RBX: (1, 1, False, True)})
    grown = _state(rbx=Loc.B)
    put(grown, intervals={RBX: (1, 1 + (1 << 16), True, True)})
    edges = [Incoming(HOT, grown)]

    def known(rounds: int, loop: Loop | None) -> object:
        needs = Needs(0, _ALL, _ALL, hot=True, loop=loop)
        merged = merge_states(edges, _ASSIGNMENT, needs, previous, rounds)
        return merged.intervals[RBX]

    assert known(1, None) == grown.intervals[RBX]
    assert known(1, Loop(frozenset(), frozenset())) is None
    # But not for ever.
    assert known(9, None) is None


def test_a_loop_finds_its_registers_ready() -> None:
    inside = frozenset({RBX, RDI})
    loop = Loop(inside, frozenset({RBX}))

    def merged(*edges: Incoming, previous: State | None = None) -> State:
        rounds = int(previous is not None)
        needs = Needs(0, _ALL, frozenset(), hot=True, loop=loop)
        return merge_states(list(edges), _ASSIGNMENT, needs, previous, rounds)

    into = Incoming(HOT, _state(rbx=Loc.M, rdi=Loc.M))
    first = merged(into)
    assert (first.loc[RBX], first.loc[RDI], first.loc[RAX]) == (Loc.B, Loc.B, Loc.M)
    assert (first.intervals[RBX], first.intervals[RDI]) == (CLAMPED, None)
    kept = _state(rbx=Loc.B, rdi=Loc.B)
    put(kept, intervals={RBX: CLAMPED})
    second = merged(into, Incoming(SOME, kept, back=True), previous=first)
    assert (second.loc[RBX], second.intervals[RBX]) == (Loc.B, CLAMPED)
    # If the loop itself cannot tell any more, a clamp belongs to where it is used.
    lost = _state(rbx=Loc.B, rdi=Loc.B)
    second = merged(into, Incoming(SOME, lost, back=True), previous=first)
    assert (second.loc[RBX], second.intervals[RBX]) == (Loc.B, None)


def test_one_path_that_changed_a_register_keeps_it_in_the_host() -> None:
    hot, cold = Incoming(HOT, _state(rbx=Loc.M)), Incoming(COLD, _state(rbx=Loc.H))
    assert _merge(hot, cold).loc[RBX] == Loc.H


def test_moved_stack_pointer_is_never_in_its_slot() -> None:
    moved = _state()
    put(moved, loc={RSP: Loc.H}, offset=-8)
    plain = _state()
    put(plain, loc={RSP: Loc.B})
    merged = _merge(Incoming(HOT, moved), Incoming(COLD, plain))
    assert (merged.offset, merged.loc[RSP]) == (-8, Loc.H)


def test_a_small_stack_pointer_is_merged_as_edge_code_moves_it() -> None:
    plain, pushed = State(), State()
    put(plain, loc={RSP: Loc.H}, intervals={RSP: SMALL})
    put(pushed, loc={RSP: Loc.H}, intervals={RSP: SMALL}, offset=-8)
    merged = _merge(Incoming(HOT, plain), Incoming(COLD, pushed))
    assert (merged.offset, merged.intervals[RSP]) == (0, (-8, 0, False, True))
    merged = _merge(Incoming(HOT, pushed), Incoming(COLD, plain))
    assert (merged.offset, merged.intervals[RSP]) == (-8, (0, 8, False, True))


def test_a_cached_constant_costs_no_edge_that_is_hot() -> None:
    one, two = _state(rcx=Loc.H), _state(rcx=Loc.H)
    put(one, cached_address=(CONSTANT, 0x1234))
    put(two, cached_address=(CONSTANT, 0x1234))
    assert (
        _merge(Incoming(HOT, one), Incoming(COLD, two)).cached_address
        == one.cached_address
    )
    put(two, loc={R11: Loc.S})
    assert (
        _merge(Incoming(HOT, one), Incoming(COLD, two)).cached_address
        == one.cached_address
    )
    assert _merge(Incoming(COLD, one), Incoming(HOT, two)).cached_address is None


def test_a_cached_address_needs_edges_that_leave_it_alone() -> None:
    one, two = _state(rcx=Loc.H), _state(rcx=Loc.H)
    put(one, cached_address=(THREAD, RDI))
    put(two, cached_address=(THREAD, RDI))
    merged = _merge(Incoming(HOT, one), Incoming(COLD, two))
    assert merged.cached_address == one.cached_address
    # Once given up it does not come back.
    put(merged, cached_address=None)
    assert _merge(Incoming(HOT, one), previous=merged).cached_address is None
    put(two, loc={R11: Loc.S})
    assert _merge(Incoming(HOT, one), Incoming(COLD, two)).cached_address is None
    put(two, loc={R11: Loc.M}, remat=Remat(frozenset({RBX}), host=RBX))
    assert two.remat.scratch
    assert _merge(Incoming(HOT, one), Incoming(COLD, two)).cached_address is None
    put(two, remat=None, cached_address=(THREAD, RBX))
    assert _merge(Incoming(HOT, one), Incoming(COLD, two)).cached_address is None


_NEAR: Interval = (0, 8, False, False)
_INDEX: Interval = (-8, 8, False, True)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ([None], None),
        ([_NEAR], None),
        ([SMALL], SMALL),
        ([SMALL, _INDEX], (-8, 8, False, True)),
        ([SMALL, None], None),
        ([SMALL, _NEAR], None),
    ],
)
def test_the_interval_of_an_index(
    column: list[Interval | None], expected: Interval | None
) -> None:
    assert _small(column) == expected


@pytest.mark.parametrize(
    ("column", "weights", "expected"),
    [
        ([None], [HOT], None),
        # A clamp leaves 0.
        ([(8, 16, False, False)], [HOT], (0, 16, False, False)),
        ([_NEAR, None], [HOT, COLD], _NEAR),
        ([_NEAR, None], [COLD, HOT], None),
        ([_NEAR, (-8, 0, True, False)], [HOT, HOT], (-8, 8, True, False)),
    ],
)
def test_the_interval_of_a_base(
    column: list[Interval | None], weights: list[int], expected: Interval | None
) -> None:
    edges = [Incoming(weight, State()) for weight in weights]
    assert _interval(RBX, column, edges, max(weights)) == expected


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ([CLAMPED], (-(1 << 10), 1 << 10, False, False)),
        ([(-2000, 0, False, False)], (-(1 << 12), 1 << 12, False, False)),
        ([(-2000, 1 << 20, False, False)], (-(1 << 16), 1 << 16, False, False)),
        ([None], None),
    ],
)
def test_the_interval_of_rsp_has_few_bounds(
    column: list[Interval | None], expected: Interval | None
) -> None:
    assert _interval(RSP, column, [Incoming(HOT, State())], HOT) == expected


@pytest.mark.parametrize(
    ("column", "back", "expected"),
    [
        ([_NEAR, None], [False, False], _NEAR),
        ([None, _NEAR], [False, True], _NEAR),
        ([_NEAR, None], [False, True], None),
        ([None], [False], CLAMPED),
    ],
)
def test_the_interval_ahead_of_a_loop(
    column: list[Interval | None], back: list[bool], expected: Interval | None
) -> None:
    edges = [Incoming(HOT, State(), closes) for closes in back]
    assert _hoisted(column, edges) == expected


@pytest.mark.parametrize(
    ("before", "now", "much", "expected"),
    [
        (_NEAR, (0, 16, True, False), False, (0, 16, True, False)),
        (_NEAR, (0, 16, False, False), True, (0, 1 << 16, False, False)),
        (_NEAR, (-1, 8, False, False), True, (-(1 << 16), 8, False, False)),
        (_NEAR, (0, 1 << 17, False, False), True, None),
        (SMALL, CLAMPED, False, CLAMPED),
    ],
)
def test_widening(
    before: Interval, now: Interval, much: bool, expected: Interval | None
) -> None:
    assert _widened(before, now, much) == expected
