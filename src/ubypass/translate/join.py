# SPDX-License-Identifier: GPL-2.0-only
"""The state in which a block begins, when several edges lead to it.

Whatever is chosen is right, because every edge is converted to it
(:mod:`ubypass.translate.convert`); the choice is about where that costs. The
heaviest edge gets its way.
"""

from __future__ import annotations

from dataclasses import dataclass

from ubypass.translate.registers import RCX, RSP, Homes
from ubypass.translate.state import CLAMPED, Flags, Loc, State, union

# Edges from the many turns of a loop that is written out know as many intervals of a
# moving address; the verifier gives up on so many, and an anchor costs little.
_DIFFERENT = 4
# Rounds after which a choice stays as it is.
_SETTLE = 4


@dataclass(frozen=True, slots=True)
class Incoming:
    """An edge into the block: how hot it is, and the state it comes with."""

    weight: int
    state: State


def join(
    edges: list[Incoming],
    homes: Homes,
    flags_live: int,
    previous: State | None,
    rounds: int,
    bases: frozenset[int],
) -> State:
    """The state to begin with.

    ``previous`` is the last round's answer. Only ``bases`` are worth being known
    as clamped.
    """
    preferred = max(edges, key=lambda edge: edge.weight).state
    states = [edge.state for edge in edges]
    settled = previous if rounds >= _SETTLE else None
    new = State()
    rows = [state.loc for state in states]
    for user, wanted in enumerate(preferred.loc):
        if wanted == Loc.S or any(row[user] != wanted for row in rows):
            wanted = _loc(user, preferred, states, homes, previous, settled)
        elif settled is not None and settled.loc[user] != Loc.S:
            wanted = settled.loc[user]
        new.loc[user] = wanted
    # Where rsp is relative to its home follows from the code before; where it
    # does not, one lea makes it so.
    new.offset = preferred.offset if settled is None else settled.offset
    if new.offset:
        new.loc[RSP] = Loc.H
    if new.loc[RCX] == Loc.S:
        new.cx = states[0].cx
    new.flags = _flags(preferred, states, flags_live, previous, settled)
    again = states[0].again
    if (
        again is not None
        and new.flags == Flags.HOST
        and all(s.again == again for s in states)
        and all(new.in_host(user) for user in again.registers)
        # On an edge that moves rsp's home it would have to change.
        and (RSP not in again.registers or all(s.offset == new.offset for s in states))
        and (settled is None or settled.again == again)
    ):
        new.again = again
    heaviest = max(edge.weight for edge in edges)
    strong = [edge.state for edge in edges if edge.weight == heaviest]
    for user in bases:
        if new.in_host(user):
            known = {state.intervals[user] for state in states}
            if len(known) > _DIFFERENT:
                continue
            interval = strong[0].intervals[user]
            for state in strong[1:]:
                interval = union(interval, state.intervals[user])
            # What else is known costs nothing to allow for.
            for state in states:
                if state.intervals[user] is not None:
                    interval = union(interval, state.intervals[user])
            # A conversion may have to clamp the register itself.
            interval = union(interval, CLAMPED)
            if settled is not None and interval != settled.intervals[user]:
                interval = None
            new.intervals[user] = interval
    return new


def _loc(
    user: int,
    preferred: State,
    states: list[State],
    homes: Homes,
    previous: State | None,
    settled: State | None,
) -> Loc:
    was_derived = previous is None or previous.loc[user] == Loc.S
    locs = {state.loc[user] for state in states}
    same = user != RCX or len({state.cx for state in states}) == 1
    if locs == {Loc.S} and was_derived and same:
        return Loc.S
    if homes.spilled(user):
        return Loc.M
    if settled is not None and settled.loc[user] != Loc.S:
        return settled.loc[user]
    wanted = preferred.loc[user]
    if wanted == Loc.S:
        return Loc.H if Loc.H in locs or Loc.B in locs else Loc.M
    if wanted == Loc.B and Loc.H in locs:
        return Loc.H
    return wanted


def _flags(
    preferred: State,
    states: list[State],
    live: int,
    previous: State | None,
    settled: State | None,
) -> Flags:
    if not live:
        return Flags.DEAD
    found = {state.flags for state in states}
    if found == {Flags.SYS} and (previous is None or previous.flags == Flags.SYS):
        return Flags.SYS
    if settled is not None and settled.flags in (Flags.HOST, Flags.SLOT):
        return settled.flags
    return Flags.SLOT if preferred.flags == Flags.SLOT else Flags.HOST
