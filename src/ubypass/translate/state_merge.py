# SPDX-License-Identifier: GPL-2.0-only
"""Merge the states of all edges into a block to the state at its start.

Any choice is correct, because edge code (:mod:`ubypass.translate.edge_code`) converts
the state of each edge to the chosen one. The choice determines the cost on each edge:
the state of the heaviest edge is preferred.
"""

from __future__ import annotations

from typing import Final

from ubypass.region.liveness import ARITHMETIC
from ubypass.translate.cached_address import CONSTANT, CachedAddress
from ubypass.translate.interval import CLAMPED, Interval, shifted, union
from ubypass.translate.node import Node
from ubypass.translate.registers import R11, RCX, RSP, RegisterAssignment
from ubypass.translate.remat import Remat
from ubypass.translate.returns import Returns
from ubypass.translate.returns import common as common_returns
from ubypass.translate.shown import Shown
from ubypass.translate.shown import common as common_shown
from ubypass.translate.state import Flags, Loc, State

__all__ = ["Incoming", "Loop", "Needs", "merge_states"]

# Each turn of an unrolled loop gives a moving address a different interval. The
# verifier widens after as many intervals, and a guard and clamp costs little.
_DIFFERENT: Final = 4
# Rounds after which the state is frozen, on the hot path and elsewhere.
_FREEZE_HOT: Final = 4
_FREEZE: Final = 2
# Bound in bytes to which a growing interval is widened.
_WIDE: Final = 1 << 16
# Smaller bounds of the interval of rsp.
_STEPS: Final = 1 << 10, 1 << 12, 1 << 14
# Rounds after which any interval is widened.
_EXACT: Final = 4
# Registers that can be in state S, and all.
_LEFT: Final = [RCX, R11]
_ALL: Final = list(range(16))


class Incoming:
    """An edge into the block, with its weight and state; ``back``: it closes a loop.
    ``source`` is its source node, ``number`` the edge there, unless the edge comes from
    outside.
    """

    def __init__(
        self,
        weight: int,
        state: State,
        back: bool = False,
        source: Node | None = None,
        number: int = 0,
    ) -> None:
        self.weight = weight
        self.state = state
        self.back = back
        self.source = source
        self.number = number

    def update(self, state: State) -> None:
        """Set the state of the edge."""
        self.state = state


class Loop:
    """A loop with its head here: the registers that it reads, and those worth a hoisted
    clamp.
    """

    def __init__(self, inside: frozenset[int], hoisted: frozenset[int]) -> None:
        self.inside = inside
        self.hoisted = hoisted


class Needs:
    """The requirements of a block for its start state, and the facts that pay there.

    ``flags_live`` are the flags live there. Clamps pay only for ``bases``, small values
    only for ``indexes``. ``hot``: worth many rounds. ``loop``: the loop that pays here.
    ``stack_height``: the offset of rsp from its host register, if it was determined for
    all blocks.
    """

    def __init__(
        self,
        flags_live: int,
        bases: frozenset[int],
        indexes: frozenset[int],
        *,
        hot: bool,
        loop: Loop | None = None,
        stack_height: int | None = None,
    ) -> None:
        self.flags_live = flags_live
        self.bases = bases
        #: Registers whose interval is useful.
        self.known = bases if indexes <= bases else bases | indexes
        self.hot = hot
        self.loop = loop
        self.stack_height = stack_height


def merge_states(
    edges: list[Incoming],
    assignment: RegisterAssignment,
    needs: Needs,
    previous: State | None,
    rounds: int,
) -> State:
    """The start state; ``previous`` is the state of the last of ``rounds``."""
    merge = _Merge(edges, assignment, needs, previous, rounds)
    loc = merge.registers()
    offset = merge.offset()
    if offset:
        loc[RSP] = Loc.H
    cx = merge.states[0].cx if loc[RCX] == Loc.S else 0
    flags = _flags(merge)
    # A fact that the first edge lacks cannot be common; most edges have none.
    first = merge.states[0]
    remat = None
    if first.remat is not None and flags == Flags.HOST:
        remat = _remat(merge, loc, first.remat, offset)
    if remat is not None and _stay_rematerialized(merge):
        # The flags may be overwritten before they are read.
        flags = Flags.REMAT
    copies = _copies(merge) if first.copies else ()
    new = State(loc, _intervals(merge, loc, copies, offset), cx, offset)
    shown = None if first.shown is None else _shown(merge, offset)
    new.assume_flags(flags, remat, shown, _stale(merge, flags))
    if copies or first.returns:
        new.assume_words(copies, _returns(merge, offset))
    if first.cached_address is not None:
        new.cache_address(_cached_address(merge, loc, flags, first.cached_address))
    return new


class _Merge:
    """The edges into a block, and decisions for all of them.

    ``preferred`` is the state of the heaviest edge, of weight ``heaviest``; ``frozen``
    the state of the last round, if only necessary changes are allowed.
    """

    __slots__ = (
        "assignment",
        "edges",
        "frozen",
        "heaviest",
        "intervals",
        "locs",
        "needs",
        "preferred",
        "previous",
        "rounds",
        "states",
    )

    def __init__(
        self,
        edges: list[Incoming],
        assignment: RegisterAssignment,
        needs: Needs,
        previous: State | None,
        rounds: int,
    ) -> None:
        best = edges[0]
        self.edges = edges
        self.states: list[State] = []
        self.locs: list[list[int]] = []
        self.intervals: list[list[Interval | None]] = []
        for edge in edges:
            state = edge.state
            self.states.append(state)
            self.locs.append(state.loc)
            self.intervals.append(state.intervals)
            if edge.weight > best.weight:
                best = edge
        self.preferred = best.state
        self.heaviest = best.weight
        self.assignment = assignment
        self.needs = needs
        self.previous = previous
        self.rounds = rounds
        limit = _FREEZE_HOT if needs.hot else _FREEZE
        self.frozen = previous if rounds >= limit else None

    def registers(self) -> list[int]:
        """The chosen place of each register."""
        preferred, frozen, loop = self.preferred, self.frozen, self.needs.loop
        found = preferred.loc.copy()
        rows: list[list[int]] = [preferred.loc]
        if len(self.locs) > 1:
            for row in self.locs:
                if row not in rows:
                    rows.append(row)
        differ = len(rows) > 1
        settled = None if frozen is None else frozen.loc
        # If all edges agree, only state S of rcx and r11 remains to be decided.
        users = _LEFT if not differ and frozen is None and loop is None else _ALL
        for user in users:
            wanted = found[user]
            if wanted == Loc.S or (differ and any(row[user] != wanted for row in rows)):
                wanted = _loc(self, user)
            elif settled is not None and settled[user] != Loc.S:
                wanted = settled[user]
            if loop is not None and wanted == Loc.M and self._ready(loop, user, rows):
                wanted = Loc.B
            found[user] = wanted
        return found

    def _ready(self, loop: Loop, user: int, rows: list[list[int]]) -> bool:
        """Whether ``user`` should be loaded before ``loop``."""
        return (
            user in loop.inside
            and not self.assignment.spilled(user)
            and (self.previous is None or any(row[user] == Loc.B for row in rows))
        )

    def offset(self) -> int:
        """The chosen offset of the user's rsp from its host register.

        The code before usually determines it; otherwise one lea adjusts it.
        """
        if self.needs.stack_height is not None:
            return self.needs.stack_height
        return self.preferred.offset if self.frozen is None else self.frozen.offset

    def same_stack(self, registers: frozenset[int], offset: int) -> bool:
        """Whether what reads ``registers`` needs no change on any edge: one that moves
        rsp's host register would change rsp.
        """
        return RSP not in registers or all(s.offset == offset for s in self.states)


def _loc(merge: _Merge, user: int) -> int:
    """The chosen place of a register on which the edges do not agree."""
    preferred, states, previous = merge.preferred, merge.states, merge.previous
    frozen = merge.frozen
    was_derived = previous is None or previous.loc[user] == Loc.S
    locs = {loc[user] for loc in merge.locs}
    same = user != RCX or len({state.cx for state in states}) == 1
    if locs == {Loc.S} and was_derived and same:
        return Loc.S
    if merge.assignment.spilled(user):
        return Loc.M
    if frozen is not None and frozen.loc[user] != Loc.S:
        return frozen.loc[user]
    wanted = preferred.loc[user]
    if wanted == Loc.S:
        return Loc.H if Loc.H in locs or Loc.B in locs else Loc.M
    if wanted == Loc.M and Loc.H in locs:
        # A load on one edge costs less than a store on another and a load later.
        return Loc.H
    if wanted == Loc.B and Loc.H in locs:
        return Loc.H
    return wanted


def _flags(merge: _Merge) -> int:
    """The chosen place of the flags, unless they are rematerialized."""
    preferred, previous, frozen = merge.preferred, merge.previous, merge.frozen
    if (
        preferred.flags == Flags.SYS
        and all(state.flags == Flags.SYS for state in merge.states)
        and (previous is None or previous.flags == Flags.SYS)
    ):
        # Also if they are dead: an exit then shows them at no cost.
        return Flags.SYS
    if not merge.needs.flags_live:
        return Flags.DEAD
    if frozen is not None and frozen.flags in (Flags.HOST, Flags.SLOT):
        return frozen.flags
    return Flags.SLOT if preferred.flags == Flags.SLOT else Flags.HOST


def _remat(merge: _Merge, loc: list[int], remat: Remat, offset: int) -> Remat | None:
    """``remat``, if all edges have this way to rematerialize the flags."""
    states, frozen = merge.states, merge.frozen
    if (
        all(s.remat == remat for s in states)
        and all(_in_host(loc, user) for user in remat.registers)
        and merge.same_stack(remat.registers, offset)
        and (frozen is None or frozen.remat == remat)
    ):
        return remat
    return None


def _stay_rematerialized(merge: _Merge) -> bool:
    """Whether flags that can be rematerialized need not be in the host flags."""
    previous = merge.previous
    return (previous is None or previous.flags == Flags.REMAT) and any(
        state.flags == Flags.REMAT for state in merge.states
    )


def _shown(merge: _Merge, offset: int) -> Shown | None:
    """How an exit can rematerialize all flags."""
    states, previous = merge.states, merge.previous
    if previous is None and len(states) == 1:
        shown = states[0].shown
    else:
        known = [] if previous is None else [previous.shown]
        shown = common_shown([s.shown for s in states] + known)
    if shown is not None and merge.same_stack(shown.registers, offset):
        return shown
    return None


def _stale(merge: _Merge, flags: int) -> int:
    """The flags that are wrong on some edge; all flags if they have no place."""
    if flags == Flags.DEAD:
        return ARITHMETIC
    stale = 0 if merge.previous is None else merge.previous.stale
    for state in merge.states:
        stale |= state.stale
    return stale


def _copies(merge: _Merge) -> tuple[tuple[int, int], ...]:
    """The pairs of registers with the same value on all edges."""
    states, previous = merge.states, merge.previous
    return tuple(
        pair
        for pair in states[0].copies
        if all(pair in state.copies for state in states)
        and (previous is None or pair in previous.copies)
    )


def _returns(merge: _Merge, offset: int) -> Returns:
    """The return addresses known on all edges and in the last round."""
    states, previous = merge.states, merge.previous
    if not states[0].returns:
        return ()
    known = states if previous is None else [*states, previous]
    return common_returns([(state.returns, state.offset) for state in known], offset)


def _cached_address(
    merge: _Merge, loc: list[int], flags: int, cached: CachedAddress
) -> CachedAddress | None:
    """``cached``, if the first scratch register caches it on all edges and no relevant
    edge needs the register.
    """
    states, previous = merge.states, merge.previous
    if (
        all(state.cached_address == cached for state in states)
        and (previous is None or previous.cached_address == cached)
        and not any(
            _uses_scratch(edge.state, loc, flags, cached)
            for edge in merge.edges
            # An address, unlike a constant, could not be rematerialized.
            if edge.weight == merge.heaviest or cached[0] != CONSTANT
        )
    ):
        return cached
    return None


def _uses_scratch(
    state: State, loc: list[int], flags: int, cached: CachedAddress
) -> bool:
    """Whether code on an edge from ``state`` to ``loc`` and ``flags`` will need the
    scratch register; if an address is cached there, whether it may need it.
    """
    if cached[0] != CONSTANT and state.remat is not None and state.remat.scratch:
        return True
    return (
        (state.loc[R11] == Loc.S and loc[R11] != Loc.S)
        or (state.loc[RCX] == Loc.S and loc[RCX] == Loc.M)
        or (
            state.flags == Flags.REMAT
            and flags in (Flags.HOST, Flags.SLOT)
            and state.remat is not None
            and state.remat.scratch
        )
    )


def _in_host(loc: list[int], user: int) -> bool:
    return loc[user] == Loc.H or loc[user] == Loc.B


def _intervals(
    merge: _Merge, loc: list[int], copies: tuple[tuple[int, int], ...], offset: int
) -> list[Interval | None]:
    """The intervals of the registers for which they are useful, with the user's rsp at
    ``offset`` from its host register.
    """
    found: list[Interval | None] = [None] * len(loc)
    rows = merge.intervals
    many = len(rows) > 1
    if copies:
        _clamp_copies(merge, loc, copies, found)
    needs, previous, frozen = merge.needs, merge.previous, merge.frozen
    loop = needs.loop
    last = None if previous is None else previous.intervals
    for user in needs.known:
        if loc[user] != Loc.H and loc[user] != Loc.B:
            continue
        before = None if last is None else last[user]
        if frozen is not None and before is None:
            continue
        column = [row[user] for row in rows] if many else [rows[0][user]]
        # A small interval is exact, and so must follow a move of the host register;
        # that of an address is rounded to fixed bounds.
        interval = _small(_moved(merge.states, offset) if user == RSP else column)
        if interval is None and user in needs.bases:
            if loop is not None and user in loop.hoisted:
                interval = _hoisted(column, merge.edges)
            else:
                interval = _interval(user, column, merge.edges, merge.heaviest)
        if before is not None and interval is not None and interval != before:
            # Without widening it follows from the block that closes the cycle, where
            # the charge compensates the growth.
            much = loop is not None or merge.rounds > _EXACT
            interval = _widened(before, interval, much)
        found[user] = interval
    return found


def _moved(states: list[State], offset: int) -> list[Interval | None]:
    """The interval of the host register of rsp on each edge, after edge code moved the
    register so that the user's rsp is at ``offset`` from it.
    """
    return [shifted(s.intervals[RSP], s.offset - offset) for s in states]


def _clamp_copies(
    merge: _Merge,
    loc: list[int],
    copies: tuple[tuple[int, int], ...],
    found: list[Interval | None],
) -> None:
    """One of a pair may serve to clamp the other, if that costs nothing on any edge."""
    previous = merge.previous
    for pair in copies:
        for user in pair:
            if (
                _in_host(loc, user)
                and all(state.intervals[user] == CLAMPED for state in merge.states)
                and (previous is None or previous.intervals[user] == CLAMPED)
            ):
                found[user] = CLAMPED


def _small(column: list[Interval | None]) -> Interval | None:
    """The interval of an index, from its interval on each edge: small only if small on
    every edge.
    """
    interval = column[0]
    if interval is None or not interval[3]:
        return None
    if len(column) == 1:
        return interval
    known: set[Interval] = set()
    for found in column:
        interval = union(interval, found)
        if found is None or interval is None or not interval[3]:
            return None
        known.add(found)
    return interval if len(known) <= _DIFFERENT else None


def _interval(
    user: int, column: list[Interval | None], edges: list[Incoming], heaviest: int
) -> Interval | None:
    """The interval of a base, from its interval on each edge; None is always valid."""
    # Edge code may have to clamp the register.
    interval: Interval | None = CLAMPED
    if len(column) == 1 and user != RSP:
        found = column[0]
        return None if found is None else union(interval, found)
    known: set[Interval] = set()
    unknown = False
    last: Interval | None = None
    for number, found in enumerate(column):
        if found is None:
            # On a heavy edge without an interval a clamp is not worth its cost.
            if edges[number].weight == heaviest:
                return None
            unknown = True
        elif found is not last and found not in known:
            # Edges often share the very object.
            last = found
            known.add(found)
            interval = union(interval, found)
    if user == RSP:
        return _stack(interval)
    return None if len(known) + unknown > _DIFFERENT else interval


def _stack(interval: Interval | None) -> Interval:
    """The interval of the host register of rsp, which is always an address.

    Calls and returns move it a little in each iteration. A few fixed bounds make the
    iteration converge, and accesses are too close to it for the bounds to matter.
    """
    for bound in _STEPS:
        if interval is not None and -bound <= interval[0] and interval[1] <= bound:
            return -bound, bound, False, False
    return -_WIDE, _WIDE, False, False


def _hoisted(column: list[Interval | None], edges: list[Incoming]) -> Interval | None:
    """The interval of a base that a loop uses, from its interval on each edge: the one
    that the loop itself maintains.
    """
    interval: Interval | None = CLAMPED
    for number, found in enumerate(column):
        if found is not None:
            interval = union(interval, found)
        elif edges[number].back:
            return None
    return interval


def _widened(before: Interval, now: Interval, much: bool) -> Interval | None:
    """Widening: an interval that covers both and changes rarely; finally None."""
    low, high = min(before[0], now[0]), max(before[1], now[1])
    if much:
        if low < -_WIDE or high > _WIDE:
            return None
        if low < before[0]:
            low = -_WIDE
        if high > before[1]:
            high = _WIDE
    return low, high, before[2] or now[2], before[3] and now[3]
