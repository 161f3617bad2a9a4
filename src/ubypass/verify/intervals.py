# SPDX-License-Identifier: GPL-2.0-only
"""The abstract value of one host register: an interval, and how it is known.

A value is

* ``None``: anything that user code could have computed;
* ``RELOADED``/``BRANCHED``: the same, remembering why a proof is missing;
* an ``int``: this constant;
* ``(lo, hi, paid, small)``: ``c + d`` with ``0 <= c <= LIMIT``, ``lo <= d <= hi``
  and ``d <= paid + GROWTH * t``, where ``t`` is what this segment has taken from the
  budget so far. An address that moves up around a loop has no useful ``hi``, but
  if the loop pays enough its ``paid`` stays where it is, and ``t`` is bounded.
  ``small``: even ``c < 2**32``, so that it can be an index.

A value below 2**32 is ``(0, 0, 0, True)``: LIMIT is always larger. Knows nothing of
instructions.
"""

from __future__ import annotations

from typing import Final

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
# Changes of one register at one join before it is given up: more than nested
# loops need, little enough to end soon.
_PATIENCE: Final = 16


class _Why:
    """An unknown value that remembers how it came about."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


RELOADED: Final = _Why("the address was read back from memory, not clamped since")
BRANCHED: Final = _Why("the address was only compared, a branch is no clamp")

Interval = tuple[int, int, int, bool]
Value = None | int | Interval | _Why

#: A value of 32 bits.
NATURAL: Final[Interval] = (0, 0, 0, True)
#: One that was clamped just now.
CLAMPED: Final[Interval] = (0, 0, 0, False)
#: What a value of 32 bits stays below.
SMALL_END: Final = 1 << 32
# No bound.
_ANY: Final = 1 << 62
# How far the budget of one segment can take an address.
_SEGMENT: Final = abi.GROWTH * abi.BUDGET_MAX


def interval(value: Value) -> Interval | None:
    """``value`` as an interval; None if it is not bounded."""
    if isinstance(value, tuple):
        return value
    if isinstance(value, int):
        if value < abi.TASK_SIZE_MIN:
            return NATURAL if value < SMALL_END else CLAMPED
        below = value - (1 << 64)
        return (below, below, below, True) if below >= -_BOUND else None
    return None


def implies(stronger: Value, weaker: Value) -> bool:
    """Whether all that ``weaker`` says follows from ``stronger``."""
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
    """The strongest value that both imply, as far as the domain goes."""
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
    """``value & -step``, step a power of two: takes 0 … step - 1 away."""
    if isinstance(value, int):
        return value & -step & _MASK64
    if isinstance(value, tuple) and value[0] - step >= -_BOUND:
        return (value[0] - step + 1, value[1], value[2], value[3])
    return None


def settled(value: Value, changes: int) -> Value:
    """Less and less of ``value`` the more often it has changed."""
    if changes > _PATIENCE:
        return None
    if changes > _PATIENCE // 2 and isinstance(value, tuple):
        return (value[0], _ANY, value[2], value[3])
    return value


def next_segment(value: Value) -> Value:
    """The budget begins anew: what it has bounded so far becomes a plain bound."""
    if isinstance(value, tuple):
        top = highest(value)
        return (value[0], top, top, value[3])
    return value


def charged(value: Interval, amount: int) -> Interval:
    """``amount`` more is taken from the budget, so less is owed to it."""
    if value[2] <= 0:
        return value
    return (value[0], value[1], max(value[2] - abi.GROWTH * amount, 0), value[3])
