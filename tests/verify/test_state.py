# SPDX-License-Identifier: GPL-2.0-only
"""The domain is sound: joins are implied, effects cover what machines compute."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ubypass import abi
from ubypass.verify import slots
from ubypass.verify.insn import Insn, Kind, Op
from ubypass.verify.state import (
    BRANCHED,
    CALLEE_SAVED,
    RELOADED,
    State,
    Value,
    highest,
    implies,
    interval,
    union,
)

_MASK = (1 << 64) - 1
_INTERVALS = st.tuples(st.integers(-(1 << 22), 1 << 22), st.integers(0, 1 << 20)).map(
    lambda pair: (pair[0], pair[0] + pair[1], pair[0] + pair[1])
)
_WORDS = st.one_of(
    st.integers(0, _MASK), st.integers(-4096, 4096).map(lambda v: v & _MASK)
)
_VALUES = st.one_of(st.none(), _INTERVALS, _WORDS, st.just(RELOADED), st.just(BRANCHED))


def _holds(value: Value, word: int) -> bool:
    """Whether a register with this value may hold ``word``."""
    if isinstance(value, int):
        return word == value
    if isinstance(value, tuple):
        low, high = value[0], highest(value) + abi.TASK_SIZE_MIN
        return (word - low) & _MASK <= high - low
    return True


@given(_VALUES, _VALUES)
def test_union_is_implied_by_both(one: Value, other: Value) -> None:
    both = union(one, other)
    assert implies(one, both)
    assert implies(other, both)


@given(_VALUES, _VALUES, _WORDS)
def test_implies_means_fewer_words(one: Value, other: Value, word: int) -> None:
    if implies(one, other) and _holds(one, word):
        assert _holds(other, word)


@given(_VALUES, _WORDS)
def test_interval_covers_the_value(value: Value, word: int) -> None:
    bounds = interval(value)
    if bounds is not None and _holds(value, word):
        assert _holds(bounds, word)


def _after(value: Value, insn: Insn, limit: int = 0) -> Value:
    state = State.entry()
    state.regs[1] = value
    state.limit = limit
    state.step(insn)
    return state.regs[1]


@given(_VALUES, st.integers(-(1 << 31), (1 << 31) - 1), _WORDS)
def test_shift(value: Value, by: int, word: int) -> None:
    insn = Insn(4, op=Op.SHIFT, a=1, b=1, c=by, writes=((1, False),))
    if _holds(value, word):
        assert _holds(_after(value, insn), (word + by) & _MASK)


@given(_VALUES, st.integers(0, 12), _WORDS)
def test_align(value: Value, bits: int, word: int) -> None:
    insn = Insn(4, op=Op.ALIGN, a=1, b=1 << bits, writes=((1, False),))
    if _holds(value, word):
        assert _holds(_after(value, insn), word & -(1 << bits) & _MASK)


def test_clamp_needs_the_compare() -> None:
    clamp = Insn(5, op=Op.CLAMP, a=1, writes=((1, False),))
    assert _after(None, clamp) is None
    assert _after(None, clamp, limit=2) == (0, 0, 0)
    assert _after(None, clamp, limit=4) is None


def test_zero_extension() -> None:
    assert _after(None, Insn(2, writes=((1, True),))) == (0, 0, 0)
    assert _after((0, 0, 0), Insn(2, writes=((1, False),))) is None


def test_join_gives_up_what_keeps_growing() -> None:
    state, changes = State.entry(), [0] * 16
    state.regs[1] = (0, 0, 0)
    state.regs[2] = (0, 8, 8)
    for step in range(1, 100):
        other = state.copy()
        other.regs[1] = (0, 8 * step, 8 * step)
        other.garbage |= step << 30
        state.join(other, changes)
        assert other.implies(state)
    assert state.regs[1] is None
    assert state.regs[2] == (0, 8, 8)


_CHARGE = Insn(8, kind=Kind.CHARGE, number=4, kills_flags=True)
_MOVE_UP = Insn(4, op=Op.SHIFT, a=1, b=1, c=8, writes=((1, False),))


def _loop(*body: Insn) -> State:
    """The state that holds at the start of a loop with ``body``."""
    state, changes = State.entry(), [0] * 16
    state.regs[1] = (0, 0, 0)
    for _ in range(100):
        around = state.copy()
        for insn in body:
            around.step(insn)
        if not state.join(around, changes):
            return state
    raise AssertionError("no fixpoint")


def test_a_loop_that_pays_keeps_what_it_moves() -> None:
    value = _loop(_CHARGE, _MOVE_UP).regs[1]
    assert isinstance(value, tuple)
    assert value[0] == 0
    assert value[2] == 8
    assert highest(value) == 8 + abi.GROWTH * abi.BUDGET_MAX


def test_a_loop_that_pays_too_little_keeps_nothing() -> None:
    assert _loop(_MOVE_UP).regs[1] is None
    fast = Insn(4, op=Op.SHIFT, a=1, b=1, c=4 * abi.GROWTH + 8, writes=((1, False),))
    assert _loop(_CHARGE, fast).regs[1] is None


def test_a_loop_that_moves_down_keeps_nothing() -> None:
    down = Insn(4, op=Op.SHIFT, a=1, b=1, c=-8, writes=((1, False),))
    assert _loop(_CHARGE, down).regs[1] is None


@given(st.lists(st.tuples(st.integers(1, 8), st.integers(-300, 300)), max_size=40))
def test_paid_bounds_every_walk(steps: list[tuple[int, int]]) -> None:
    state, taken, moved = State.entry(), 0, 0
    state.regs[1] = (0, 0, 0)
    for amount, by in steps:
        state.step(Insn(8, kind=Kind.CHARGE, number=amount))
        state.step(Insn(4, op=Op.SHIFT, a=1, b=1, c=by, writes=((1, False),)))
        taken, moved = taken + amount, moved + by
        value = state.regs[1]
        assert isinstance(value, tuple)
        assert value[0] <= moved <= value[1]
        assert moved <= value[2] + abi.GROWTH * taken


def test_a_new_segment_owes_what_the_old_one_moved() -> None:
    state = State.entry()
    state.regs[3] = (0, 1 << 62, 8)
    state.dispatch()
    top = 8 + abi.GROWTH * abi.BUDGET_MAX
    assert state.regs[3] == (0, top, top)


def test_entry_and_stub() -> None:
    entry = State.entry()
    assert entry.usp
    assert entry.garbage & slots.TARGET_BIT
    assert entry.garbage & 0xFFFF == 0xFFFF & ~(1 << 4)
    assert not State.stub(0).usp


def test_dispatch_keeps_callee_saved_only() -> None:
    state = State.entry()
    state.regs = [(0, 0, 0)] * 16
    state.garbage = 0
    state.limit = 0xFFFF
    state.dispatch()
    kept = [number for number, value in enumerate(state.regs) if value]
    assert tuple(kept) == CALLEE_SAVED
    assert state.garbage == sum(1 << number for number in (1, 2, 6, 7, 8, 9, 10, 11))
    assert state.limit == 0


def test_usp_is_trusted_until_written() -> None:
    load = Insn(8, op=Op.USP, a=1, writes=((1, False),))
    store = Insn(8, store_slot=slots.USP_SLOT)
    state = State.entry()
    state.step(load)
    assert state.regs[1] == (0, 0, 0)
    state.step(store)
    state.step(load)
    assert state.regs[1] is RELOADED


def test_branch_is_remembered_as_no_clamp() -> None:
    state = State.entry()
    state.limit = 2
    state.step(Insn(2, kind=Kind.BRANCH, op=Op.ABOVE))
    assert state.regs[1] is BRANCHED
    assert state.limit == 2


def test_leaving_forgets_addresses() -> None:
    state = State.entry()
    state.regs[1] = (0, 0, 0)
    state.step(Insn(7, kind=Kind.EXIT_NUMBER))
    assert state.leaving
    assert state.regs == [None] * 16
