# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from ubypass.region.liveness import ARITHMETIC
from ubypass.translate.profile import COLD, HOT, SOME
from ubypass.translate.registers import R11, RAX, RBX, RCX, RDI, RSP, assign_registers
from ubypass.translate.remat import Remat
from ubypass.translate.shown import EQUAL, SYSTEM, Shown
from ubypass.translate.state import CLAMPED, CONSTANT, THREAD, Flags, Loc, State
from ubypass.translate.state_merge import Incoming, Loop, merge_states

_ASSIGNMENT = assign_registers([0, 0, 0, 9, *[0] * 12])
_ALL = frozenset(range(16))


def _state(flags: int = Flags.HOST, **locs: int) -> State:
    state = State()
    state.flags = flags
    numbers = {"rax": RAX, "rbx": RBX, "rdi": RDI, "rcx": RCX, "r11": R11}
    for name, loc in locs.items():
        state.loc[numbers[name]] = loc
    return state


def _merge(*edges: Incoming, live: int = 0, previous: State | None = None) -> State:
    return merge_states(
        list(edges), _ASSIGNMENT, live, previous, 0, _ALL, frozenset(), True
    )


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
    one.cx = two.cx = 0x1000
    assert _merge(Incoming(HOT, one), Incoming(SOME, two)).loc[RCX] == Loc.S
    two.cx = 0x2000
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
    one.remat = two.remat = Remat(frozenset({RBX}), compare=b"1")
    edges = (Incoming(HOT, one), Incoming(SOME, two))
    merged = _merge(*edges, live=ARITHMETIC)
    assert (merged.flags, merged.remat) == (Flags.REMAT, one.remat)
    assert _merge(*edges).flags == Flags.DEAD
    # Where they were in the host flags before, code relies on that.
    before = _state(Flags.HOST)
    assert _merge(*edges, live=ARITHMETIC, previous=before).flags == Flags.HOST
    two.remat = Remat(frozenset({RBX}), compare=b"2")
    assert _merge(*edges, live=ARITHMETIC).flags == Flags.HOST
    # Nothing in the host flags has to be rematerialized.
    one.flags, two.remat = Flags.HOST, one.remat
    assert _merge(*edges, live=ARITHMETIC).flags == Flags.HOST


def test_what_an_exit_shows_holds_on_all_paths() -> None:
    one, two = _state(Flags.HOST), _state(Flags.HOST)
    one.shown = two.shown = shown = Shown(EQUAL.steps, frozenset({RBX}), equal=True)
    one.stale, two.stale = 0, 1
    edges = (Incoming(HOT, one), Incoming(SOME, two))
    merged = _merge(*edges, live=ARITHMETIC)
    assert (merged.shown, merged.stale) == (shown, 1)
    # Once it was not known it stays so.
    assert _merge(*edges, previous=_state(Flags.HOST)).shown is None
    two.shown = shown._replace(equal=False)
    assert _merge(*edges).shown == two.shown
    two.shown = SYSTEM
    assert _merge(*edges).shown is None
    two.shown = None
    assert _merge(*edges).shown is None


def test_intervals_are_those_of_the_hot_edges() -> None:
    hot, cold = _state(rbx=Loc.B), _state(rbx=Loc.B)
    hot.intervals[RBX] = (8, 16, False, False)
    merged = _merge(Incoming(HOT, hot), Incoming(COLD, cold))
    # With zero, because a guard and clamp on the cold edge leaves just that.
    assert merged.intervals[RBX] == (0, 16, False, False)
    merged = _merge(Incoming(HOT, hot), Incoming(HOT, cold))
    assert merged.intervals[RBX] is None


def test_a_small_register_with_too_many_intervals_is_given_up() -> None:
    edges = []
    for number in range(5):
        state = _state(rbx=Loc.B)
        state.intervals[RBX] = (8 * number, 8 * number, False, True)
        edges.append(Incoming(HOT, state))
    assert _merge(*edges[:4]).intervals[RBX] == (0, 24, False, True)
    # The verifier would lose patience.
    assert _merge(*edges).intervals[RBX] is None


def test_an_interval_that_keeps_growing_is_given_up() -> None:
    loop = Loop(frozenset(), frozenset())
    previous = _state(rbx=Loc.B)
    previous.intervals[RBX] = (0, 8, False, False)
    grown = _state(rbx=Loc.B)
    grown.intervals[RBX] = (0, 16, False, False)
    edges, rest = [Incoming(HOT, grown)], (_ALL, frozenset[int](), True, loop)
    wide = merge_states(edges, _ASSIGNMENT, 0, previous, 1, *rest)
    assert wide.intervals[RBX] == (0, 1 << 16, False, False)
    grown.intervals[RBX] = (0, 1 << 17, False, False)
    lost = merge_states(edges, _ASSIGNMENT, 0, wide, 2, *rest)
    assert lost.intervals[RBX] is None


def test_an_interval_is_widened_where_its_cycle_pays() -> None:
    previous = _state(rbx=Loc.B)
    previous.intervals[RBX] = (1, 1, False, True)
    grown = _state(rbx=Loc.B)
    grown.intervals[RBX] = (1, 1 + (1 << 16), True, True)
    edges = [Incoming(HOT, grown)]

    def known(rounds: int, loop: Loop | None) -> object:
        rest = previous, rounds, _ALL, _ALL, True, loop
        return merge_states(edges, _ASSIGNMENT, 0, *rest).intervals[RBX]

    assert known(1, None) == grown.intervals[RBX]
    assert known(1, Loop(frozenset(), frozenset())) is None
    # But not for ever.
    assert known(9, None) is None


def test_a_loop_finds_its_registers_ready() -> None:
    inside = frozenset({RBX, RDI})
    loop = Loop(inside, frozenset({RBX}))

    def merged(*edges: Incoming, previous: State | None = None) -> State:
        rounds = int(previous is not None)
        rest = previous, rounds, _ALL, frozenset(), True, loop
        return merge_states(list(edges), _ASSIGNMENT, 0, *rest)

    into = Incoming(HOT, _state(rbx=Loc.M, rdi=Loc.M))
    first = merged(into)
    assert (first.loc[RBX], first.loc[RDI], first.loc[RAX]) == (Loc.B, Loc.B, Loc.M)
    assert (first.intervals[RBX], first.intervals[RDI]) == (CLAMPED, None)
    kept = _state(rbx=Loc.B, rdi=Loc.B)
    kept.intervals[RBX] = CLAMPED
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
    moved.loc[RSP], moved.offset = Loc.H, -8
    plain = _state()
    plain.loc[RSP] = Loc.B
    merged = _merge(Incoming(HOT, moved), Incoming(COLD, plain))
    assert (merged.offset, merged.loc[RSP]) == (-8, Loc.H)


def test_a_cached_constant_costs_no_edge_that_is_hot() -> None:
    one, two = _state(rcx=Loc.H), _state(rcx=Loc.H)
    one.cached_address = two.cached_address = (CONSTANT, 0x1234)
    assert (
        _merge(Incoming(HOT, one), Incoming(COLD, two)).cached_address
        == one.cached_address
    )
    two.loc[R11] = Loc.S
    assert (
        _merge(Incoming(HOT, one), Incoming(COLD, two)).cached_address
        == one.cached_address
    )
    assert _merge(Incoming(COLD, one), Incoming(HOT, two)).cached_address is None


def test_a_cached_address_needs_edges_that_leave_it_alone() -> None:
    one, two = _state(rcx=Loc.H), _state(rcx=Loc.H)
    one.cached_address = two.cached_address = (THREAD, RDI)
    merged = _merge(Incoming(HOT, one), Incoming(COLD, two))
    assert merged.cached_address == one.cached_address
    # Once given up it does not come back.
    merged.cached_address = None
    assert _merge(Incoming(HOT, one), previous=merged).cached_address is None
    two.loc[R11] = Loc.S
    assert _merge(Incoming(HOT, one), Incoming(COLD, two)).cached_address is None
    two.loc[R11] = Loc.M
    two.remat = Remat(frozenset({RBX}), host=RBX)
    assert two.remat.scratch
    assert _merge(Incoming(HOT, one), Incoming(COLD, two)).cached_address is None
    two.remat = None
    two.cached_address = THREAD, RBX
    assert _merge(Incoming(HOT, one), Incoming(COLD, two)).cached_address is None
