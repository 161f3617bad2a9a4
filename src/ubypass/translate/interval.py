# SPDX-License-Identifier: GPL-2.0-only
"""Intervals: bounds on the distance of a register from a clamped value.

A register with an interval may serve as an address although it was not clamped itself.
Emits nothing, and must not depend on states.
"""

from __future__ import annotations

from typing import Final

from ubypass.abi import (
    BUDGET_MAX,
    GROWTH,
    GUARD_FAR,
    GUARD_HIGH,
    GUARD_LOW,
    TASK_SIZE_MIN,
)

__all__ = [
    "CLAMPED",
    "SMALL",
    "Interval",
    "constant",
    "rounded_down",
    "serves",
    "serves_indexed",
    "shifted",
    "union",
    "within",
]

#: Offsets of a register from a clamped value: lowest and highest, and whether the
#: highest excludes the growth paid for by charges of the segment (docs/abi.md, 6).
#: Last, whether the clamped value even fits in 32 bits: small enough for an index.
Interval = tuple[int, int, bool, bool]
CLAMPED: Final[Interval] = (0, 0, False, False)
SMALL: Final[Interval] = (0, 0, False, True)

# Beyond this an interval is useless and only delays convergence.
_FAR: Final = 1 << 20
_SMALLEST_LARGE: Final = 1 << 32


def shifted(interval: Interval | None, amount: int) -> Interval | None:
    """The interval after adding a constant; None beyond the useful range."""
    if interval is None:
        return None
    low, high = interval[0] + amount, interval[1] + amount
    if low < -_FAR or high > _FAR:
        return None
    return low, high, interval[2], interval[3]


def rounded_down(interval: Interval | None, step: int) -> Interval | None:
    """The interval after rounding down to a multiple of ``step``, unless that is 0."""
    if interval is None or not step or interval[0] - step < -_FAR:
        return None
    return interval[0] - step + 1, interval[1], interval[2], interval[3]


def constant(value: int) -> Interval | None:
    """The interval of a constant; None if the constant is not a user address."""
    if 0 <= value < _SMALLEST_LARGE:
        return SMALL
    if value < 0:
        return shifted(SMALL, value)
    return CLAMPED if value < TASK_SIZE_MIN else None


def union(a: Interval | None, b: Interval | None) -> Interval | None:
    """Covers both; None if one of them is."""
    if a is None or b is None:
        return None
    return min(a[0], b[0]), max(a[1], b[1]), a[2] or b[2], a[3] and b[3]


def within(inner: Interval | None, outer: Interval | None) -> bool:
    """Whether code that relies on ``outer`` is correct when ``inner`` holds."""
    if outer is None:
        return True
    if inner is None:
        return False
    return (
        outer[0] <= inner[0]
        and inner[1] <= outer[1]
        and (outer[2] or not inner[2])
        and (inner[3] or not outer[3])
    )


def serves(interval: Interval | None, displacement: int, size: int) -> bool:
    """Whether ``[register + displacement]`` of ``size`` bytes is guarded."""
    if interval is None:
        return False
    return (
        interval[0] + displacement >= GUARD_LOW
        and _highest(interval) + displacement + size <= GUARD_HIGH
    )


def serves_indexed(
    base: Interval, index: Interval, scale: int, displacement: int, size: int
) -> bool:
    """Whether ``[base + index * scale + displacement]`` is guarded."""
    if not index[3]:
        return False
    low = base[0] + index[0] * scale + displacement
    high = _highest(base) + (_highest(index) + _SMALLEST_LARGE) * scale + displacement
    return low >= GUARD_LOW and high + size <= GUARD_FAR


def _highest(interval: Interval) -> int:
    return interval[1] + (GROWTH * BUDGET_MAX if interval[2] else 0)
