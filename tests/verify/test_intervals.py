# SPDX-License-Identifier: GPL-2.0-only
"""The domain is sound: unions are implied, operations cover what machines compute."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ubypass import abi
from ubypass.verify.intervals import (
    BRANCHED,
    RELOADED,
    SMALL_END,
    Value,
    align,
    highest,
    implies,
    interval,
    next_segment,
    shift,
    union,
)

_MASK = (1 << 64) - 1
_INTERVALS = st.tuples(
    st.integers(-(1 << 22), 1 << 22), st.integers(0, 1 << 20), st.booleans()
).map(lambda parts: (parts[0], parts[0] + parts[1], parts[0] + parts[1], parts[2]))
_WORDS = st.one_of(
    st.integers(0, _MASK), st.integers(-4096, 4096).map(lambda v: v & _MASK)
)
_VALUES = st.one_of(st.none(), _INTERVALS, _WORDS, st.just(RELOADED), st.just(BRANCHED))


def _holds(value: Value, word: int) -> bool:
    """Whether a register with this value may hold ``word``."""
    if isinstance(value, int):
        return word == value
    if isinstance(value, tuple):
        low = value[0]
        high = highest(value) + (SMALL_END - 1 if value[3] else abi.TASK_SIZE_MIN)
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


@given(_VALUES, st.integers(-(1 << 31), (1 << 31) - 1), _WORDS)
def test_shift(value: Value, by: int, word: int) -> None:
    if _holds(value, word):
        assert _holds(shift(value, by), (word + by) & _MASK)


@given(_VALUES, st.integers(0, 12), _WORDS)
def test_align(value: Value, bits: int, word: int) -> None:
    if _holds(value, word):
        assert _holds(align(value, 1 << bits), word & -(1 << bits) & _MASK)


def test_a_new_segment_owes_what_the_old_one_moved() -> None:
    top = 8 + abi.GROWTH * abi.BUDGET_MAX
    assert next_segment((0, 1 << 62, 8, False)) == (0, top, top, False)
    assert next_segment(None) is None
