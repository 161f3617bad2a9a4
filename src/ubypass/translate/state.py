# SPDX-License-Identifier: GPL-2.0-only
"""The abstract state at one point of generated code: where user state is.

A user register that is not spilled is in its host register, in ``pt_regs``, or in both;
flags likewise. Intervals say which host registers are clamped and may serve as
addresses. Emits nothing.
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
from ubypass.region.liveness import ARITHMETIC
from ubypass.translate.invariant import require
from ubypass.translate.remat import Remat
from ubypass.translate.shown import Shown

__all__ = [
    "CLAMPED",
    "CONSTANT",
    "SMALL",
    "SUM",
    "THREAD",
    "CachedAddress",
    "Flags",
    "Interval",
    "Loc",
    "State",
    "address_sum",
    "constant",
    "depends",
    "distance_behind",
    "rounded_down",
    "serves",
    "serves_indexed",
    "shifted",
    "union",
    "within",
]

#: Offsets of a register from a clamped value: lowest and highest, and whether the
#: highest leaves out what the segment's charges have paid for (docs/abi.md, 6).
#: Last, whether it is not only a clamped value but one of 32 bits: small enough to be
#: an index.
Interval = tuple[int, int, bool, bool]
CLAMPED: Interval = (0, 0, False, False)
SMALL: Interval = (0, 0, False, True)

#: What the first scratch register caches: a constant, (THREAD) the clamped address fs
#: base + user register, or (SUM) the clamped address of a memory operand.
CachedAddress = tuple[int, int]
CONSTANT: Final = 0
THREAD: Final = 1
SUM: Final = 2

# Beyond this an interval is of no use and only keeps analyses from converging.
_FAR: Final = 1 << 20
_SMALLEST_LARGE: Final = 1 << 32
_RSP: Final = 4
_IN_MEMORY: Final = [0] * 16
_UNKNOWN: Final[list[Interval | None]] = [None] * 16


class Loc:
    """Where a user register's value is (docs/abi.md, section 2).

    Plain numbers: states are compared and copied all the time.
    """

    M: Final = 0
    H: Final = 1
    B: Final = 2
    S: Final = 3


class Flags:
    """Where the user's arithmetic flags are."""

    HOST: Final = 0
    SLOT: Final = 1  # FRAME_TMP0, packed
    SYS: Final = 2  # FRAME_SYSFLAGS
    DEAD: Final = 3  # nowhere: dead
    REMAT: Final = 4  # nowhere, but they can be rematerialized


class State:
    """The state, mutable.

    ``cx`` is the value of a rcx in state ``S``. The user's rsp is its host register
    plus ``offset``, so that calls, pushes and pops need not move the host register;
    unless ``offset`` is 0 its state is ``H``. ``cached_address`` is the address or
    constant that the first scratch register has in it, if that is of use; see
    :meth:`ubypass.translate.context.Context.cached_address`. ``copies`` are pairs of
    registers with the same value, of which nothing was known when it was copied.
    """

    __slots__ = (
        "cached_address",
        "copies",
        "cx",
        "flags",
        "intervals",
        "loc",
        "offset",
        "remat",
        "returns",
        "shown",
        "stale",
    )

    def __init__(
        self,
        loc: list[int] = _IN_MEMORY,
        intervals: list[Interval | None] = _UNKNOWN,
    ) -> None:
        self.loc = loc.copy()
        self.cx = 0
        self.offset = 0
        self.flags: int = Flags.DEAD
        self.intervals = intervals.copy()
        #: How to rematerialize the present flags, if that is possible.
        self.remat: Remat | None = None
        #: How an exit can rematerialize all flags, if that is possible, and the bits
        #: that are wrong in the place that ``flags`` names.
        self.shown: Shown | None = None
        self.stale: int = ARITHMETIC
        self.cached_address: CachedAddress | None = None
        self.copies: tuple[tuple[int, int], ...] = ()
        #: Return addresses on the user's stack that were pushed here: offsets from the
        #: host register of rsp, and addresses (:mod:`ubypass.translate.returns`).
        self.returns: tuple[tuple[int, int], ...] = ()

    def copy(self) -> State:
        """An independent copy."""
        new = State(self.loc, self.intervals)
        new.cx = self.cx
        new.offset = self.offset
        new.flags = self.flags
        new.remat = self.remat
        new.shown = self.shown
        new.stale = self.stale
        new.cached_address = self.cached_address
        new.copies = self.copies
        new.returns = self.returns
        return new

    def same(self, other: State) -> bool:
        """Whether both states are equal in all respects."""
        return (
            self.like(other) and self.stale == other.stale and self.shown == other.shown
        )

    def like(self, other: State) -> bool:
        """Whether both states lead to the same code, exit stubs aside."""
        return (
            self.loc == other.loc
            and self.flags == other.flags
            and self.offset == other.offset
            and self.cx == other.cx
            and self.intervals == other.intervals
            and self.remat == other.remat
            and self.cached_address == other.cached_address
            and self.copies == other.copies
            and self.returns == other.returns
        )

    def in_host(self, user: int) -> bool:
        """Whether the host register is valid."""
        loc = self.loc[user]
        return loc == Loc.H or loc == Loc.B

    def charged(self, amount: int) -> None:
        """Note a charge of ``amount``: paid bounds of intervals shrink by its
        growth.
        """
        for user, interval in enumerate(self.intervals):
            # rsp moves both ways: its exact interval is more useful.
            if interval is not None and interval[1] > 0 and user != _RSP:
                high = max(interval[1] - GROWTH * amount, 0)
                self.intervals[user] = (interval[0], high, True, interval[3])

    def new_segment(self) -> None:
        """Note that a segment begins with a new budget: paid intervals become
        unknown.
        """
        for user, interval in enumerate(self.intervals):
            if interval is not None and interval[2]:
                self.intervals[user] = None

    def written(self, user: int, interval: Interval | None = None) -> None:
        """Note a write of the host register of ``user``."""
        self.loc[user] = Loc.H
        self.intervals[user] = interval
        self.touched(user)

    def copied(self, user: int, source: int) -> None:
        """Note that ``user`` has the value of ``source``, which has no interval."""
        self.copies = (*self.copies, (user, source))

    def clamped_copy(self, user: int) -> int:
        """A register with the same value that is clamped in its host register, or
        -1.
        """
        for one, other in self.copies:
            if user in (one, other):
                found = other if user == one else one
                if self.intervals[found] == CLAMPED and self.in_host(found):
                    return found
        return -1

    def touched(self, user: int) -> None:
        """The user register changed: flags that depend on it cannot be
        rematerialized.
        """
        if user == _RSP:
            self.returns = ()
        if self.cached_address is not None and depends(self.cached_address, user):
            self.cached_address = None
        if self.copies:
            self.copies = tuple(pair for pair in self.copies if user not in pair)
        if self.remat is not None and user in self.remat.registers:
            require(self.flags != Flags.REMAT, "flags are lost before they are made")
            self.remat = None
        self.changing(user)

    def changing(self, user: int) -> None:
        """Note a change of the user register for the flags that an exit can
        rematerialize, also while the change is incomplete.
        """
        if self.shown is not None:
            self.shown = self.shown.without(user)

    def flags_from(self, shown: Shown | None, kills: int) -> None:
        """Note that the host flags are those of an instruction that certainly overwrote
        ``kills``; ``shown`` is how an exit can rematerialize all of them.
        """
        if self.flags != Flags.HOST:
            self.stale = ARITHMETIC
        self.stale &= ~kills
        self.flags = Flags.HOST
        self.shown = shown

    @property
    def exact(self) -> bool:
        """Whether all flags are right in the place that ``flags`` names."""
        return self.flags != Flags.DEAD and not self.stale


def address_sum(base: int, index: int, scale: int, displacement: int) -> CachedAddress:
    """The cache entry for the clamped address of an operand; ``base`` and
    ``index`` are user registers, -1: none.
    """
    return SUM, displacement << 16 | scale << 10 | (index + 1) << 5 | (base + 1)


def distance_behind(cached: CachedAddress, wanted: CachedAddress) -> int:
    """Bytes from the cached address up to the ``wanted`` one; -1: unknown, or below
    it.
    """
    if cached[0] != SUM or (cached[1] ^ wanted[1]) & 0xFFFF:
        return -1
    return max((wanted[1] >> 16) - (cached[1] >> 16), -1)


def depends(cached: CachedAddress, user: int) -> bool:
    """Whether a change of ``user`` makes the cached address stale."""
    if cached[0] == SUM:
        return cached[1] & 31 == user + 1 or cached[1] >> 5 & 31 == user + 1
    return cached[0] == THREAD and cached[1] == user


def shifted(interval: Interval | None, amount: int) -> Interval | None:
    """The interval after adding a constant; None beyond the useful range."""
    if interval is None:
        return None
    low, high = interval[0] + amount, interval[1] + amount
    if low < -_FAR or high > _FAR:
        return None
    return low, high, interval[2], interval[3]


def rounded_down(interval: Interval | None, step: int) -> Interval | None:
    """The interval after rounding down to a multiple of ``step``, if that is not 0."""
    if interval is None or not step or interval[0] - step < -_FAR:
        return None
    return interval[0] - step + 1, interval[1], interval[2], interval[3]


def constant(value: int) -> Interval | None:
    """The interval of a constant; None for one that is no user address."""
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
    """Whether code that relies on ``outer`` is right when ``inner`` holds."""
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
