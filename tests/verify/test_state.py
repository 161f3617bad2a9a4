# SPDX-License-Identifier: GPL-2.0-only
"""How paths meet, and what stubs and dispatches leave of a state."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ubypass import abi
from ubypass.verify import predicates
from ubypass.verify.intervals import RELOADED, Value
from ubypass.verify.state import (
    CALLEE_SAVED,
    NO_VALUES,
    State,
    after_dispatch,
    at_pre,
    at_stub,
    values_after_dispatch,
)

_VALUE = st.one_of(
    st.none(),
    st.just(RELOADED),
    st.integers(0, 1 << 20),
    st.tuples(st.integers(-99, 99), st.booleans()).map(
        lambda parts: (parts[0], parts[0] + 8, parts[0] + 8, parts[1])
    ),
)
_VALUES = st.lists(_VALUE, min_size=16, max_size=16)
_FACTS = st.integers(0, predicates.SYSFLAGS_SAVED)


@given(_FACTS, _VALUES, _FACTS, _VALUES)
def test_a_join_is_implied_by_both(
    one: int, first: list[Value], other: int, second: list[Value]
) -> None:
    state = State(one, first)
    before = first.copy()
    changed = state.join(other, second)
    assert state.implied_by(one, first)
    assert state.implied_by(other, second)
    assert changed == (state.known != one or state.values != first)
    assert first == before
    assert not state.join(other, second)


def test_leaving_must_be_the_same() -> None:
    state = State(0, NO_VALUES)
    assert not state.implied_by(predicates.LEAVING, NO_VALUES)
    assert not State(predicates.LEAVING, NO_VALUES).implied_by(0, NO_VALUES)
    assert state.implied_by(predicates.USER_RSP, NO_VALUES)


def test_join_gives_up_what_keeps_growing() -> None:
    values = NO_VALUES.copy()
    values[1], values[2] = (0, 0, 0, False), (0, 8, 8, False)
    state = State(predicates.DEFINED, values)
    for step in range(1, 100):
        other = state.values.copy()
        other[1] = (0, 8 * step, 8 * step, False)
        state.join(predicates.DEFINED, other)
        assert state.implied_by(predicates.DEFINED, other)
    assert state.values[1] is None
    assert state.values[2] == (0, 8, 8, False)


def test_stubs_know_what_is_defined_only() -> None:
    everything = (predicates.LEAVING << 1) - 1
    assert at_stub(everything) == predicates.DEFINED
    assert predicates.DEFINED & ~at_pre(everything) == predicates.defined(11)


def test_dispatch_keeps_callee_saved_only() -> None:
    values: list[Value] = [(0, 0, 0, False)] * 16
    after = values_after_dispatch(values)
    kept = [number for number, value in enumerate(after) if value]
    assert tuple(kept) == CALLEE_SAVED
    top = abi.GROWTH * abi.BUDGET_MAX
    assert after[3] == (0, top, top, False) or after[3] == (0, 0, 0, False)
    known = after_dispatch(
        predicates.DEFINED | predicates.COMPARED | predicates.USER_RSP
    )
    lost = [number for number in range(16) if not known & predicates.defined(number)]
    assert lost == [1, 2, 6, 7, 8, 9, 10, 11]
    assert not known & predicates.COMPARED
    assert known & predicates.USER_RSP
    assert not after_dispatch(0) & predicates.USER_RSP
