# SPDX-License-Identifier: GPL-2.0-only
"""The abstract state: what is known of host registers at one point.

A value is

* ``None``: anything that user code could have computed;
* ``RELOADED``/``BRANCHED``: the same, remembering why a proof is missing;
* an ``int``: this constant;
* ``(lo, hi, paid)``: ``c + d`` with ``0 <= c <= LIMIT``, ``lo <= d <= hi`` and
  ``d <= paid + GROWTH * t``, where ``t`` is what this segment has taken from the
  budget so far. An address that moves up around a loop has no useful ``hi``, but
  if the loop pays enough its ``paid`` stays where it is, and ``t`` is bounded.

A value below 2**32 is ``(0, 0, 0)``: LIMIT is always larger. Knows the effects of
instructions (:class:`.insn.Op`) and nothing of control flow.
"""

from __future__ import annotations

from typing import Final

from ubypass import abi
from ubypass.verify import slots
from ubypass.verify.insn import Insn, Kind, Op

_MASK64 = (1 << 64) - 1
# Beyond this a displacement of 32 bits cannot bring an access back in range.
_BOUND = 1 << 33
# Changes of one register at one join before it is given up: more than nested
# loops need, little enough to end soon.
_PATIENCE = 16
#: Host registers that a C function leaves alone (System V ABI): rbx rbp r12 to r15.
CALLEE_SAVED = (3, 5, 12, 13, 14, 15)
_RAX, _RSP, _R11 = 0, 4, 11
_GPRS = 0xFFFF & ~(1 << _RSP)


class _Why:
    """An unknown value that remembers how it came about."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


RELOADED: Final = _Why("the address was read back from memory, not clamped since")
BRANCHED: Final = _Why("the address was only compared, a branch is no clamp")

Interval = tuple[int, int, int]
Value = None | int | Interval | _Why

_NATURAL: Interval = (0, 0, 0)
# No bound.
_ANY = 1 << 62
# How far the budget of one segment can take an address.
_SEGMENT = abi.GROWTH * abi.BUDGET_MAX


def interval(value: Value) -> Interval | None:
    """``value`` as an interval; None if it is not bounded."""
    if isinstance(value, tuple):
        return value
    if isinstance(value, int):
        if value < abi.TASK_SIZE_MIN:
            return _NATURAL
        below = value - (1 << 64)
        return (below, below, below) if below >= -_BOUND else None
    return None


def implies(stronger: Value, weaker: Value) -> bool:
    """Whether all that ``weaker`` says follows from ``stronger``."""
    if weaker is None or stronger == weaker:
        return True
    wide, narrow = interval(weaker), interval(stronger)
    if not isinstance(weaker, tuple) or wide is None or narrow is None:
        return False
    return wide[0] <= narrow[0] and narrow[1] <= wide[1] and narrow[2] <= wide[2]


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
    )


def highest(bounds: Interval) -> int:
    """The largest ``d`` at any time in this segment."""
    return min(bounds[1], bounds[2] + _SEGMENT)


def _shift(value: Value, by: int) -> Value:
    if isinstance(value, int):
        return (value + by) & _MASK64
    if isinstance(value, tuple):
        low, high, paid = value[0] + by, value[1] + by, value[2] + by
        if high > _BOUND:
            high = _ANY
        return (low, high, paid) if low >= -_BOUND and paid <= _BOUND else None
    return None


def _align(value: Value, step: int) -> Value:
    """``value & -step``: takes 0 … step - 1 away."""
    if isinstance(value, int):
        return value & -step & _MASK64
    if isinstance(value, tuple) and value[0] - step >= -_BOUND:
        return (value[0] - step + 1, value[1], value[2])
    return None


def _settled(value: Value, changes: int) -> Value:
    """Less and less of ``value`` the more often it has changed."""
    if changes > _PATIENCE:
        return None
    if changes > _PATIENCE // 2 and isinstance(value, tuple):
        return (value[0], _ANY, value[2])
    return value


def _next_segment(value: Value) -> Value:
    """The budget begins anew: what it has bounded so far becomes a plain bound."""
    if isinstance(value, tuple):
        top = highest(value)
        return (value[0], top, top)
    return value


class State:
    """Knowledge at one point.

    ``limit``: mask of registers that hold the value last compared with LIMIT,
    while host flags still say so. ``garbage``: mask of registers and slots that
    may hold kernel data. ``usp``: the user rsp's slot is as the module checked
    it. ``leaving``: the exit number is written. ``images``: the slots whose flags
    were saved by code like this, with AC set; at an entry they are the user's, and
    to restore those would shut SMAP.
    """

    __slots__ = ("garbage", "images", "leaving", "limit", "regs", "usp")

    def __init__(
        self,
        regs: list[Value],
        limit: int,
        garbage: int,
        usp: bool,
        leaving: bool,
        images: frozenset[int] = frozenset(),
    ) -> None:
        self.regs = regs
        self.limit = limit
        self.garbage = garbage
        self.usp = usp
        self.leaving = leaving
        self.images = images

    @classmethod
    def entry(cls) -> State:
        """At an entry: everything is in memory, registers hold kernel data."""
        return cls([None] * 16, 0, _GPRS | slots.UNDEFINED_SLOTS, True, False)

    @classmethod
    def stub(cls, garbage: int) -> State:
        """At an exit stub that a fault or a dispatch leads to."""
        return cls([None] * 16, 0, garbage, False, False)

    def copy(self) -> State:
        """An independent copy."""
        return State(
            self.regs.copy(),
            self.limit,
            self.garbage,
            self.usp,
            self.leaving,
            self.images,
        )

    def implies(self, other: State) -> bool:
        """Whether code that is safe from ``other`` is safe from here."""
        return (
            self.leaving == other.leaving
            and (self.usp or not other.usp)
            and not other.limit & ~self.limit
            and not self.garbage & ~other.garbage
            and self.images >= other.images
            and all(map(implies, self.regs, other.regs))
        )

    def join(self, other: State, changes: list[int]) -> bool:
        """Weakens this state until ``other`` implies it; whether it changed.

        ``changes`` counts for each register how often its value changed here. One
        that changes too often becomes unknown, so that intervals that grow
        around a loop come to an end. ``leaving`` must be equal, which the caller
        checks.
        """
        changed = False
        if self.regs != other.regs:
            for number, (mine, theirs) in enumerate(
                zip(self.regs, other.regs, strict=True)
            ):
                if mine is None or mine == theirs:
                    continue
                value = union(mine, theirs)
                if value != mine:
                    changes[number] += 1
                    self.regs[number] = _settled(value, changes[number])
                    changed = True
        limit, garbage = self.limit & other.limit, self.garbage | other.garbage
        usp = self.usp and other.usp
        if not self.images <= other.images:
            self.images &= other.images
            changed = True
        if (limit, garbage, usp) != (self.limit, self.garbage, self.usp):
            self.limit, self.garbage, self.usp = limit, garbage, usp
            changed = True
        return changed

    def restorable(self, push: Insn) -> bool:
        """Whether what ``push`` pushes are flags with AC set."""
        return push.number == 0 or push.number in self.images

    def pop(self, push: Insn, pop: Insn) -> None:
        """The effect of a pair on the slots of flags."""
        if pop.number:
            if self.restorable(push):
                self.images |= {pop.number}
            else:
                self.images -= {pop.number}

    def dispatch(self) -> None:
        """After a handler ran: only callee-saved registers are what they were.

        rax is the result; the other caller-saved ones hold kernel data.
        """
        kept = [(number, self.regs[number]) for number in CALLEE_SAVED]
        self.regs = [None] * 16
        saved = 0
        for number, value in kept:
            self.regs[number] = _next_segment(value)
            saved |= 1 << number
        self.garbage = (self.garbage | _GPRS & ~saved) & ~(1 << _RAX)
        self.limit = 0

    def garbage_before_dispatch(self) -> int:
        """The mask on the way to ``pre_offset``: r11 was the module's scratch."""
        return self.garbage | 1 << _R11

    def garbage_after_dispatch(self) -> int:
        """The mask at ``post_offset``."""
        after = self.copy()
        after.dispatch()
        return after.garbage

    def step(self, insn: Insn) -> None:
        """The state after ``insn``, whose preconditions the caller has checked."""
        regs = self.regs
        if insn.writes:
            # The old value first: a source may be a destination as well.
            op = insn.op
            result: Value = None
            known = op is not Op.GENERIC
            if known:
                result = self._result(insn)
            limit = self.limit
            copied = op is Op.COPY and limit >> insn.b & 1
            for number, extended in insn.writes:
                regs[number] = _NATURAL if extended else None
                limit &= ~(1 << number)
            if known:
                regs[insn.a] = result
                if copied:
                    limit |= 1 << insn.a
            self.limit = limit
            self.garbage &= ~insn.defines
        elif insn.defines:
            self.garbage &= ~insn.defines
        if insn.kills_flags:
            self.limit = 1 << insn.a if insn.op is Op.COMPARE else 0
        elif insn.op is Op.ABOVE and self.limit:
            for number in range(16):
                if self.limit >> number & 1 and regs[number] in (None, RELOADED):
                    regs[number] = BRANCHED
        if insn.kind is Kind.CHARGE:
            self._charge(insn.number)
        if insn.store_slot == slots.USP_SLOT:
            self.usp = False
        if insn.kind is Kind.EXIT_NUMBER:
            # Exit code needs no addresses: forgetting them here keeps the
            # shared tails from being visited once for each stub.
            self.regs = [None] * 16
            self.limit = 0
            self.usp = False
            self.leaving = True

    def _charge(self, amount: int) -> None:
        """``amount`` more is taken from the budget, so less is owed to it."""
        for number, value in enumerate(self.regs):
            if isinstance(value, tuple) and value[2] > 0:
                paid = max(value[2] - abi.GROWTH * amount, 0)
                self.regs[number] = (value[0], value[1], paid)

    def _result(self, insn: Insn) -> Value:
        """The new value of register ``insn.a`` for operations with knowledge."""
        op = insn.op
        if op is Op.CONST:
            return insn.b
        if op is Op.COPY:
            return self.regs[insn.b]
        if op is Op.SHIFT:
            return _shift(self.regs[insn.b], insn.c)
        if op is Op.ALIGN:
            return _align(self.regs[insn.a], insn.b)
        if op is Op.CLAMP:
            return _NATURAL if self.limit >> insn.a & 1 else None
        if op is Op.USP:
            return _NATURAL if self.usp else RELOADED
        if op is Op.RELOAD:
            return RELOADED
        return None
