# SPDX-License-Identifier: GPL-2.0-only
"""The abstract state at one point of generated code: where user state is.

A user register that is not spilled is in its host register, in ``pt_regs``, or in both;
flags likewise. Intervals describe the host registers that are clamped and may serve as
addresses. Emits nothing: code that emits an instruction calls the method for its
effect.
"""

from __future__ import annotations

from typing import Final

from ubypass.abi import GROWTH
from ubypass.region.liveness import ARITHMETIC
from ubypass.translate.cached_address import CachedAddress, depends
from ubypass.translate.insn_info import InsnInfo
from ubypass.translate.interval import CLAMPED, Interval, shifted
from ubypass.translate.invariant import require
from ubypass.translate.registers import CALLER_SAVED, NAMES, R11, RAX, RCX, RSP
from ubypass.translate.remat import Remat
from ubypass.translate.returns import Returns, above, moved, pushed, stored_by
from ubypass.translate.shown import SYSTEM, Shown, known_equal

__all__ = ["Flags", "Loc", "State"]

_IN_MEMORY: Final = [0] * 16
_UNKNOWN: Final[list[Interval | None]] = [None] * 16
_CALLER_SAVED: Final = sorted(CALLER_SAVED)


class Loc:
    """The place of a user register's value (docs/abi.md, section 2).

    Plain integers: states are compared and copied often.
    """

    M: Final = 0
    H: Final = 1
    B: Final = 2
    S: Final = 3


class Flags:
    """The place of the user's arithmetic flags."""

    HOST: Final = 0
    SLOT: Final = 1  # FRAME_TMP0, packed
    SYS: Final = 2  # FRAME_SYSFLAGS
    DEAD: Final = 3  # nowhere: dead
    REMAT: Final = 4  # nowhere, but rematerializable


class State:
    """The state, mutable: other files read its fields and call its methods.

    No other file changes a field, or one of the lists (tests/translate/test_owners.py).
    The fields are not properties because lowering mostly reads them.
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
        cx: int = 0,
        offset: int = 0,
    ) -> None:
        #: The place of each user register, as in :class:`Loc`.
        self.loc: Final = loc.copy()
        #: The interval of each host register, if it has one.
        self.intervals: Final = intervals.copy()
        #: The value of rcx if it is in state ``S``.
        self.cx = cx
        #: The user's rsp minus its host register, so that calls, pushes and pops need
        #: not move the host register.
        self.offset = offset
        #: The place of the flags, as in :class:`Flags`.
        self.flags: int = Flags.DEAD
        #: How to rematerialize the current flags, if possible.
        self.remat: Remat | None = None
        #: How an exit can rematerialize all flags, if possible.
        self.shown: Shown | None = None
        #: The flags that are wrong in the place that ``flags`` names.
        self.stale: int = ARITHMETIC
        #: The address or constant in the first scratch register, if useful;
        #: see :meth:`ubypass.translate.context.Context.cached_address`.
        self.cached_address: CachedAddress | None = None
        #: Pairs of registers with the same value, which had no interval when it was
        #: copied.
        self.copies: tuple[tuple[int, int], ...] = ()
        #: Return addresses on the user's stack that were pushed here.
        self.returns: Returns = ()

    def copy(self) -> State:
        """An independent copy."""
        new = State(self.loc, self.intervals, self.cx, self.offset)
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

    def fits(self, wanted: State) -> bool:
        """Whether an edge from this state to ``wanted`` needs no code."""
        return (
            self.loc == wanted.loc
            and self.offset == wanted.offset
            and self.intervals == wanted.intervals
            and (
                self.flags == wanted.flags
                or wanted.flags == Flags.DEAD
                or (self.flags == Flags.HOST and wanted.flags == Flags.REMAT)
            )
            and (
                wanted.cached_address is None
                or self.cached_address == wanted.cached_address
            )
        )

    def check(self) -> None:
        """Raise AssertionError if fields contradict each other.

        - Only rcx and r11 are in state ``S``.
        - Unless ``offset`` is 0, rsp is in state ``H``: its slot has another value.
        - A register has an interval only while its host register is valid, and an
          interval is not empty (growth paid for by the budget is added to its end).
        - Flags that are nowhere but in a rematerialization (``REMAT``) have one, and
          the registers that it reads are in their host registers.
        - With flags of the last dispatch (``SYS``), exits show these flags.
        - Stale flags are arithmetic flags.
        - Registers are copies of others, never of themselves.
        - Known return addresses are at different words of the stack.
        """
        for user, loc in enumerate(self.loc):
            require(loc != Loc.S or user in (RCX, R11), f"{NAMES[user]} is in state S")
            interval = self.intervals[user]
            require(
                interval is None
                or (self.in_host(user) and (interval[0] <= interval[1] or interval[2])),
                f"{NAMES[user]} has interval {interval} in state {loc}",
            )
        require(
            not self.offset or self.loc[RSP] == Loc.H,
            f"rsp has offset {self.offset} in state {self.loc[RSP]}",
        )
        remat = self.remat
        require(
            self.flags != Flags.REMAT or remat is not None,
            "the flags are nowhere and cannot be rematerialized",
        )
        require(
            remat is None or all(self.in_host(user) for user in remat.registers),
            "a register is lost that the flags are rematerialized from",
        )
        require(
            self.flags != Flags.SYS
            or (self.shown is not None and self.shown.steps == SYSTEM.steps),
            "an exit does not show the flags of the last dispatch",
        )
        require(not self.stale & ~ARITHMETIC, "other flags are stale")
        require(all(one != other for one, other in self.copies), "a copy of itself")
        places = [at for at, _ in self.returns]
        require(len(set(places)) == len(places), "two return addresses in one word")

    # -- queries -------------------------------------------------------------

    @property
    def exact(self) -> bool:
        """Whether all flags are correct in the place that ``flags`` names."""
        return self.flags != Flags.DEAD and not self.stale

    def in_host(self, user: int) -> bool:
        """Whether the host register is valid."""
        loc = self.loc[user]
        return loc == Loc.H or loc == Loc.B

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

    # -- registers -----------------------------------------------------------

    def load(self, user: int) -> None:
        """The host register of ``user`` was loaded from its slot."""
        self.loc[user] = Loc.B
        self.intervals[user] = None

    def materialize(self, user: int) -> None:
        """The host register of ``user`` got the value that the last dispatch left."""
        self.loc[user] = Loc.H
        self.intervals[user] = None

    def store(self, user: int) -> None:
        """The host register of ``user`` was stored to its slot."""
        self.loc[user] = Loc.B

    def spill(self, user: int) -> None:
        """The value of ``user`` is in its slot only."""
        self.loc[user] = Loc.M
        self.intervals[user] = None

    def write(self, user: int, interval: Interval | None = None) -> None:
        """The host register of ``user`` was written, with a value of ``interval``."""
        self.loc[user] = Loc.H
        self.intervals[user] = interval
        self.invalidate(user)

    def write_slot(self, user: int) -> None:
        """The slot of a spilled ``user`` was written."""
        self.loc[user] = Loc.M
        self.invalidate(user)

    def write_partly(self, user: int) -> None:
        """A write of the host register of ``user`` is under way: a fault finds it
        anywhere between the old value and the new one.
        """
        self.loc[user] = Loc.H
        self._invalidate_shown(user)

    def clamp(self, user: int) -> None:
        """The host register of ``user`` is clamped."""
        self.intervals[user] = CLAMPED

    def narrow(self, user: int, interval: Interval) -> None:
        """The host register of ``user`` is known to be in ``interval``."""
        self.intervals[user] = interval

    def forget_interval(self, user: int) -> None:
        """The host register of ``user`` has no interval any more."""
        self.intervals[user] = None

    def copy_register(self, user: int, source: int) -> None:
        """``user`` has the value of ``source``, which has no interval."""
        self.copies = (*self.copies, (user, source))

    def invalidate(self, user: int) -> None:
        """Discard facts that depend on the former value of ``user``."""
        if user == RSP:
            self.returns = ()
        if self.cached_address is not None and depends(self.cached_address, user):
            self.cached_address = None
        if self.copies:
            self.copies = tuple(pair for pair in self.copies if user not in pair)
        if self.remat is not None and user in self.remat.registers:
            require(self.flags != Flags.REMAT, "flags are lost before they are made")
            self.remat = None
        self._invalidate_shown(user)

    def _invalidate_shown(self, user: int) -> None:
        if self.shown is not None:
            self.shown = self.shown.without(user)

    # -- the stack -------------------------------------------------------------

    def move_stack(self, offset: int) -> None:
        """The user's rsp is now its host register plus ``offset``."""
        self.offset = offset
        self.loc[RSP] = Loc.H

    def rebase_stack(self, amount: int) -> None:
        """``amount`` is added to the host register of rsp, not to the user's rsp.

        A rematerialization that reads rsp must allow that (:meth:`Remat.moved`).
        """
        remat = self.remat
        if remat is not None and RSP in remat.registers:
            self.remat = remat.moved(amount)
            require(self.remat is not None, "flags are lost before they are made")
        if self.shown is not None:
            self.shown = self.shown.moved(amount)
        self.intervals[RSP] = shifted(self.intervals[RSP], amount)
        self.loc[RSP] = Loc.H
        self.returns = moved(self.returns, amount)
        self.offset -= amount

    def write_stack(self, interval: Interval | None = None) -> None:
        """The host register of rsp was written with the user's new rsp."""
        self.offset = 0
        self.write(RSP, interval)

    def push_return(self, value: int) -> None:
        """A call pushed ``value``, its return address."""
        self.returns = pushed(self.returns, self.offset, value)

    def forget_returns_below(self) -> None:
        """Forget the return addresses below the user's rsp."""
        if self.returns:
            self.returns = above(self.returns, self.offset)

    def forget_overwritten(self, info: InsnInfo) -> None:
        """Forget the return addresses that an instruction may have overwritten."""
        self.returns = stored_by(self.returns, self.offset, info)

    # -- flags -----------------------------------------------------------------

    def set_flags(self, shown: Shown | None, kills: int) -> None:
        """The host flags are from an instruction that always overwrites ``kills``;
        ``shown`` is how an exit can rematerialize all of them.
        """
        if self.flags != Flags.HOST:
            self.stale = ARITHMETIC
        self.stale &= ~kills
        self.flags = Flags.HOST
        self.shown = shown

    def set_flags_later(self, remat: Remat, shown: Shown | None, live: bool) -> None:
        """An instruction that sets all flags was omitted; ``live``: they are live."""
        self.remat = remat
        self.flags = Flags.REMAT if live else Flags.DEAD
        self.shown = shown
        self.stale = 0

    def move_flags(self, place: int) -> None:
        """The same flags are now in ``place``."""
        self.flags = place

    def save_sysflags(self) -> None:
        """The flags were saved in FRAME_SYSFLAGS."""
        self.flags = Flags.SYS
        # ``shown`` may have depended on the previous image in this slot.
        self.shown = SYSTEM

    def set_remat(self, remat: Remat | None) -> None:
        """``remat`` rematerializes the current flags; None: nothing does."""
        self.remat = remat

    def assume_equal(self, remat: Remat) -> None:
        """A compare found equal values, whose flags ``remat`` rematerializes."""
        self.remat = remat
        self.shown = known_equal(self.shown)

    def assume_flags(
        self, place: int, remat: Remat | None, shown: Shown | None, stale: int
    ) -> None:
        """Set the flags as they are on each edge to this point."""
        self.flags = place
        self.remat = remat
        self.shown = shown
        self.stale = stale

    # -- caches ----------------------------------------------------------------

    def cache_address(self, cached: CachedAddress | None) -> None:
        """The first scratch register holds ``cached``; None: nothing useful."""
        self.cached_address = cached

    def assume_words(
        self, copies: tuple[tuple[int, int], ...], returns: Returns
    ) -> None:
        """Set the register copies and return addresses that hold on each edge here."""
        self.copies = copies
        self.returns = returns

    # -- the budget and dispatches -----------------------------------------------

    def charge(self, amount: int) -> None:
        """``amount`` was charged: paid bounds of intervals decrease by its growth."""
        for user, interval in enumerate(self.intervals):
            # rsp moves both ways: its exact interval is more useful.
            if interval is not None and interval[1] > 0 and user != RSP:
                high = max(interval[1] - GROWTH * amount, 0)
                self.intervals[user] = (interval[0], high, True, interval[3])

    def begin_segment(self) -> None:
        """A segment begins with a new budget: paid intervals become unknown."""
        for user, interval in enumerate(self.intervals):
            if interval is not None and interval[2]:
                self.intervals[user] = None

    def enter(self, resume: int, *, fred: bool) -> None:
        """Control came in at the entry ``resume``, and rsp was loaded (docs/abi.md,
        3). Nothing was known before. ``fred``: see :class:`~ubypass.abi.Abi`.
        """
        self.loc[RSP] = Loc.B
        self.intervals[RSP] = CLAMPED
        self._leave_call(resume, fred=fred)

    def dispatch(self, resume: int, *, fred: bool) -> None:
        """A dispatch returned; control continues at ``resume``.

        All caller-saved registers but rax and rcx were in their slots; with ``fred``
        rcx, too.
        """
        self.begin_segment()
        for user in _CALLER_SAVED:
            self.loc[user] = Loc.M
            self.intervals[user] = None
        self.loc[RAX] = Loc.H
        self._leave_call(resume, fred=fred)
        self.remat = None
        self.cached_address = None
        self.returns = ()

    def _leave_call(self, resume: int, *, fred: bool) -> None:
        """Set the values of rcx, r11 and the flags after a system call."""
        if not fred:
            self.loc[RCX] = self.loc[R11] = Loc.S
            self.cx = resume
        self.flags = Flags.SYS
        self.shown = SYSTEM
        self.stale = 0
