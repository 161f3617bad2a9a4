# SPDX-License-Identifier: GPL-2.0-only
"""Merge the states of all edges into a block to the state at its start.

Any choice is correct, because edge code (:mod:`ubypass.translate.edge_code`) brings
each edge to the chosen state. The choice decides which edges pay for that: the state
of the heaviest edge is preferred.
"""

from __future__ import annotations

from typing import Final

from ubypass.translate.node import Node
from ubypass.translate.registers import R11, RCX, RSP, RegisterAssignment
from ubypass.translate.returns import common
from ubypass.translate.shown import common as common_shown
from ubypass.translate.state import (
    CLAMPED,
    CONSTANT,
    CachedAddress,
    Flags,
    Interval,
    Loc,
    State,
    union,
)

__all__ = ["Incoming", "Loop", "merge_states"]

# The turns of an unrolled loop give a moving address a different interval each. The
# verifier widens after as many, and a guard and clamp costs little.
_DIFFERENT: Final = 4
# Rounds after which the state is frozen, on the hot path and elsewhere.
_FREEZE_HOT: Final = 4
_FREEZE: Final = 2
# Bound in bytes to which a growing interval is widened.
_WIDE: Final = 1 << 16
# Bounds of the interval of rsp before that one.
_STEPS: Final = 1 << 10, 1 << 12, 1 << 14
# Rounds after which an interval is widened anywhere.
_EXACT: Final = 4
# Registers that can be in state S, and all.
_LEFT: Final = [RCX, R11]
_ALL: Final = list(range(16))


class Incoming:
    """An edge into the block: how hot it is, and the state it comes with; ``back``: it
    closes a loop. ``source`` is the node that it leaves, by edge ``number``, if it
    does not come from outside.
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


class Loop:
    """A loop with its head here: the registers that it reads, and those worth a hoisted
    clamp.
    """

    def __init__(self, inside: frozenset[int], hoisted: frozenset[int]) -> None:
        self.inside = inside
        self.hoisted = hoisted


def merge_states(
    edges: list[Incoming],
    assignment: RegisterAssignment,
    flags_live: int,
    previous: State | None,
    rounds: int,
    bases: frozenset[int],
    indexes: frozenset[int],
    hot: bool,
    loop: Loop | None = None,
    stack_height: int | None = None,
) -> State:
    """The state to begin with.

    ``previous`` is the state of the last round. Only ``bases`` are worth being known as
    clamped, only ``indexes`` as small. ``hot``: worth many rounds. ``loop``: what is
    known of the loop that pays here. ``stack_height``: where rsp is to be relative to
    its host register, if that was decided for all blocks.
    """
    best = edges[0]
    for edge in edges:
        if edge.weight > best.weight:
            best = edge
    preferred = best.state
    states = [edge.state for edge in edges]
    frozen = previous if rounds >= (_FREEZE_HOT if hot else _FREEZE) else None
    new = State(preferred.loc)
    rows: list[list[int]] = [preferred.loc]
    if len(states) > 1:
        for state in states:
            if state.loc not in rows:
                rows.append(state.loc)
    # Where all edges agree, only state S of rcx and r11 is left to decide.
    users = _LEFT if len(rows) == 1 and frozen is None and loop is None else _ALL
    for user in users:
        wanted = preferred.loc[user]
        if wanted == Loc.S or (
            len(rows) > 1 and any(row[user] != wanted for row in rows)
        ):
            wanted = _loc(user, preferred, states, assignment, previous, frozen)
        elif frozen is not None and frozen.loc[user] != Loc.S:
            wanted = frozen.loc[user]
        if (
            loop is not None
            and wanted == Loc.M
            and user in loop.inside
            and not assignment.spilled(user)
            and (previous is None or any(row[user] == Loc.B for row in rows))
        ):
            wanted = Loc.B
        new.loc[user] = wanted
    # Where rsp is relative to its host register follows from the code before; where it
    # does not, one lea makes it so.
    if stack_height is not None:
        new.offset = stack_height
    else:
        new.offset = preferred.offset if frozen is None else frozen.offset
    if new.offset:
        new.loc[RSP] = Loc.H
    if new.loc[RCX] == Loc.S:
        new.cx = states[0].cx
    new.flags = _flags(preferred, states, flags_live, previous, frozen)
    remat = states[0].remat
    if (
        remat is not None
        and new.flags == Flags.HOST
        and all(s.remat == remat for s in states)
        and all(new.in_host(user) for user in remat.registers)
        # On an edge that moves rsp's host register it would have to change.
        and (RSP not in remat.registers or all(s.offset == new.offset for s in states))
        and (frozen is None or frozen.remat == remat)
    ):
        new.remat = remat
        if (previous is None or previous.flags == Flags.REMAT) and any(
            state.flags == Flags.REMAT for state in states
        ):
            # They may be overwritten before they are read.
            new.flags = Flags.REMAT
    shown = common_shown(
        [s.shown for s in states] + ([] if previous is None else [previous.shown])
    )
    if shown is not None and (
        RSP not in shown.registers or all(s.offset == new.offset for s in states)
    ):
        new.shown = shown
    if new.flags != Flags.DEAD:
        new.stale = 0 if previous is None else previous.stale
        for state in states:
            new.stale |= state.stale
    if states[0].copies:
        new.copies = tuple(
            pair
            for pair in states[0].copies
            if all(pair in state.copies for state in states)
            and (previous is None or pair in previous.copies)
        )
        for pair in new.copies:
            # One may serve to clamp the other, if that costs nothing on any edge.
            for user in pair:
                if (
                    new.in_host(user)
                    and all(state.intervals[user] == CLAMPED for state in states)
                    and (previous is None or previous.intervals[user] == CLAMPED)
                ):
                    new.intervals[user] = CLAMPED
    new.returns = common(states, new.offset, previous)
    cached = states[0].cached_address
    if (
        cached is not None
        and all(state.cached_address == cached for state in states)
        and (previous is None or previous.cached_address == cached)
        and not any(
            _uses_scratch(edge.state, new, cached)
            for edge in edges
            # An address, unlike a constant, could not be rematerialized.
            if edge.weight == best.weight or cached[0] != CONSTANT
        )
    ):
        new.cached_address = cached
    known = bases if indexes <= bases else bases | indexes
    for user in known:
        if new.in_host(user):
            before = None if previous is None else previous.intervals[user]
            if frozen is not None and before is None:
                continue
            interval = _small(user, states)
            if interval is None and user in bases:
                if loop is not None and user in loop.hoisted:
                    interval = _hoisted(user, edges)
                else:
                    interval = _interval(user, edges, best.weight)
            if before is not None and interval is not None and interval != before:
                # Without widening it follows from the block that closes the cycle,
                # where the charge makes up for the growth.
                interval = _widened(
                    before, interval, loop is not None or rounds > _EXACT
                )
            new.intervals[user] = interval
    return new


def _uses_scratch(state: State, new: State, cached: CachedAddress) -> bool:
    """Whether code on an edge from one to the other will need the scratch register;
    if an address is cached there, whether it may need it.
    """
    if cached[0] != CONSTANT and state.remat is not None and state.remat.scratch:
        return True
    return (
        (state.loc[R11] == Loc.S and new.loc[R11] != Loc.S)
        or (state.loc[RCX] == Loc.S and new.loc[RCX] == Loc.M)
        or (
            state.flags == Flags.REMAT
            and new.flags in (Flags.HOST, Flags.SLOT)
            and state.remat is not None
            and state.remat.scratch
        )
    )


def _small(user: int, states: list[State]) -> Interval | None:
    """The interval of an index: small only if it is small on every edge."""
    interval = states[0].intervals[user]
    known: set[Interval] = set()
    for state in states:
        found = state.intervals[user]
        interval = union(interval, found)
        if found is None or interval is None or not interval[3]:
            return None
        known.add(found)
    return interval if len(known) <= _DIFFERENT else None


def _interval(user: int, edges: list[Incoming], heaviest: int) -> Interval | None:
    """The interval of a base; None is always possible."""
    # Edge code may have to clamp the register.
    interval: Interval | None = CLAMPED
    if len(edges) == 1 and user != RSP:
        found = edges[0].state.intervals[user]
        return None if found is None else union(interval, found)
    known: set[Interval] = set()
    unknown = False
    for edge in edges:
        found = edge.state.intervals[user]
        if found is None:
            # On a heavy edge without an interval a clamp is not worth its cost.
            if edge.weight == heaviest:
                return None
            unknown = True
        elif found not in known:
            known.add(found)
            interval = union(interval, found)
    if user == RSP:
        return _stack(interval)
    return None if len(known) + unknown > _DIFFERENT else interval


def _stack(interval: Interval | None) -> Interval:
    """The interval of the host register of rsp, which is always an address.

    Calls and returns move it a little in each iteration. A few fixed bounds make that
    converge, and no access is so far from it that it would matter.
    """
    for bound in _STEPS:
        if interval is not None and -bound <= interval[0] and interval[1] <= bound:
            return -bound, bound, False, False
    return -_WIDE, _WIDE, False, False


def _hoisted(user: int, edges: list[Incoming]) -> Interval | None:
    """The interval of a base that a loop uses: what the loop itself maintains."""
    interval: Interval | None = CLAMPED
    for edge in edges:
        found = edge.state.intervals[user]
        if found is not None:
            interval = union(interval, found)
        elif edge.back:
            return None
    return interval


def _widened(before: Interval, now: Interval, much: bool) -> Interval | None:
    """Widen: an interval that covers both and changes rarely; None in the end."""
    low, high = min(before[0], now[0]), max(before[1], now[1])
    if much:
        if low < -_WIDE or high > _WIDE:
            return None
        if low < before[0]:
            low = -_WIDE
        if high > before[1]:
            high = _WIDE
    return low, high, before[2] or now[2], before[3] and now[3]


def _loc(
    user: int,
    preferred: State,
    states: list[State],
    assignment: RegisterAssignment,
    previous: State | None,
    frozen: State | None,
) -> int:
    was_derived = previous is None or previous.loc[user] == Loc.S
    locs = {state.loc[user] for state in states}
    same = user != RCX or len({state.cx for state in states}) == 1
    if locs == {Loc.S} and was_derived and same:
        return Loc.S
    if assignment.spilled(user):
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


def _flags(
    preferred: State,
    states: list[State],
    live: int,
    previous: State | None,
    frozen: State | None,
) -> int:
    found = {state.flags for state in states}
    if found == {Flags.SYS} and (previous is None or previous.flags == Flags.SYS):
        # Also where they are dead: an exit has them at no cost.
        return Flags.SYS
    if not live:
        return Flags.DEAD
    if frozen is not None and frozen.flags in (Flags.HOST, Flags.SLOT):
        return frozen.flags
    return Flags.SLOT if preferred.flags == Flags.SLOT else Flags.HOST
