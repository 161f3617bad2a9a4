# SPDX-License-Identifier: GPL-2.0-only
"""The abstract value of one host register: an interval, and its derivation.

A value is

* ``None``: any value that user code could have computed;
* ``RELOADED``/``BRANCHED``: the same, with the reason why a proof is missing;
* an ``int``: this constant;
* ``(lo, hi, paid, small)``: ``c + d`` with ``0 <= c <= LIMIT``, ``lo <= d <= hi``
  and ``d <= paid + GROWTH * t``, where ``t`` is the amount charged to the budget so far
  in this segment. An address that increases in a loop has no useful ``hi``, but if the
  loop charges enough its ``paid`` is constant, and ``t`` is bounded.
  ``small``: even ``c < 2**32``, so that it can be an index.

A value below 2**32 is ``(0, 0, 0, True)``: LIMIT is always larger. Must not depend on
instructions.
"""

from __future__ import annotations

from typing import Any, Final

from ubypass import abi

__all__ = [
    "BRANCHED",
    "CLAMPED",
    "NATURAL",
    "RELOADED",
    "SMALL_END",
    "Interval",
    "Value",
    "align",
    "charged",
    "highest",
    "implies",
    "interval",
    "next_segment",
    "settled",
    "shift",
    "union",
]

_MASK64: Final = (1 << 64) - 1
# Beyond this a displacement of 32 bits cannot bring an access back in range.
_BOUND: Final = 1 << 33
# Changes of one register at one join before its value becomes unknown: more than nested
# loops need, few enough to converge soon.
_PATIENCE: Final = 16


class _Why:
    """An unknown value with its cause."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


RELOADED: Final = _Why("the address was read back from memory, not clamped since")
BRANCHED: Final = _Why("the address was only compared, a branch is no clamp")

Interval = tuple[int, int, int, bool]
Value = None | int | Interval | _Why

#: A value of 32 bits.
NATURAL: Final[Interval] = (0, 0, 0, True)
#: A value that was just clamped.
CLAMPED: Final[Interval] = (0, 0, 0, False)
#: Exclusive upper bound of a value of 32 bits.
SMALL_END: Final = 1 << 32
# No bound.
_ANY: Final = 1 << 62
# The largest increase of an address within the budget of one segment.
_SEGMENT: Final = abi.GROWTH * abi.BUDGET_MAX


def interval(value: Value) -> Interval | None:
    """``value`` as an interval; None if it is not bounded."""
    same: Any = value  # which mypyc neither unpacks nor packs
    if isinstance(same, tuple):
        return same
    if isinstance(value, int):
        if value < abi.TASK_SIZE_MIN:
            return NATURAL if value < SMALL_END else CLAMPED
        below = value - (1 << 64)
        return (below, below, below, True) if below >= -_BOUND else None
    return None


def implies(stronger: Value, weaker: Value) -> bool:
    """Whether ``stronger`` implies ``weaker``."""
    if weaker is None or stronger == weaker:
        return True
    wide, narrow = interval(weaker), interval(stronger)
    if not isinstance(weaker, tuple) or wide is None or narrow is None:
        return False
    return (
        wide[0] <= narrow[0]
        and narrow[1] <= wide[1]
        and narrow[2] <= wide[2]
        and (narrow[3] or not wide[3])
    )


def union(one: Value, other: Value) -> Value:
    """The join: the strongest value of the domain that both imply."""
    if one == other:
        return one
    left, right = interval(one), interval(other)
    if left is None or right is None:
        return None
    return (
        min(left[0], right[0]),
        max(left[1], right[1]),
        max(left[2], right[2]),
        left[3] and right[3],
    )


def highest(bounds: Interval) -> int:
    """The largest ``d`` at any time in this segment."""
    return min(bounds[1], bounds[2] + _SEGMENT)


def shift(value: Value, by: int) -> Value:
    """``value + by``."""
    if isinstance(value, int):
        return (value + by) & _MASK64
    if isinstance(value, tuple):
        low, high, paid = value[0] + by, value[1] + by, value[2] + by
        if high > _BOUND:
            high = _ANY
        if low < -_BOUND or paid > _BOUND:
            return None
        return (low, high, paid, value[3])
    return None


def align(value: Value, step: int) -> Value:
    """``value & -step``, step a power of two: subtracts 0 … step - 1."""
    if isinstance(value, int):
        return value & -step & _MASK64
    if isinstance(value, tuple) and value[0] - step >= -_BOUND:
        return (value[0] - step + 1, value[1], value[2], value[3])
    return None


def settled(value: Value, changes: int) -> Value:
    """The widening of ``value`` after ``changes`` changes."""
    if changes > _PATIENCE:
        return None
    if changes > _PATIENCE // 2 and isinstance(value, tuple):
        return (value[0], _ANY, value[2], value[3])
    return value


def next_segment(value: Value) -> Value:
    """The budget is reset: bounds that depend on it become plain bounds."""
    if isinstance(value, tuple):
        top = highest(value)
        return (value[0], top, top, value[3])
    return value


def charged(value: Interval, amount: int) -> Interval:
    """``amount`` more is charged to the budget, so ``paid`` decreases."""
    if value[2] <= 0:
        return value
    return (value[0], value[1], max(value[2] - abi.GROWTH * amount, 0), value[3])
