# SPDX-License-Identifier: GPL-2.0-only
"""Edge code: shuffle the state at the end of a block to the start state of the next."""

from __future__ import annotations

from ubypass.translate.cached_address import CONSTANT
from ubypass.translate.context import Context
from ubypass.translate.flags import to_host, to_slot
from ubypass.translate.interval import within
from ubypass.translate.invariant import require
from ubypass.translate.registers import R11, RCX, RSP, SLOT
from ubypass.translate.sandbox import guard_and_clamp
from ubypass.translate.spill import load, materialize_r11, rebase_stack
from ubypass.translate.state import Flags, Loc, State

__all__ = ["emit_edge_code"]


def emit_edge_code(context: Context, wanted: State) -> None:
    """Emit code that turns ``context.state`` into ``wanted``.

    ``context.ip`` is the address of the target block and ``context.live`` the flags
    live there; exits of edge code have this address.
    """
    state = context.state
    if wanted.loc[R11] != Loc.S:
        materialize_r11(context)
    if state.offset != wanted.offset:
        _move_stack_base(context, wanted.offset)
    have, want = state.loc, wanted.loc
    if have != want:
        for user, host in enumerate(context.assignment.host):
            if host >= 0 and have[user] != want[user]:
                _place(context, user, host, want[user])
    known, needed = state.intervals, wanted.intervals
    if known != needed:
        for user, interval in enumerate(needed):
            if interval is not None and not within(known[user], interval):
                guard_and_clamp(context, user)
    _flags(context, wanted)
    if (
        wanted.cached_address is not None
        and context.cached_address() != wanted.cached_address
    ):
        require(
            wanted.cached_address[0] == CONSTANT,
            "an edge cannot make a cached address",
        )
        context.code.move_imm(context.s0, wanted.cached_address[1])
        context.cache_address(wanted.cached_address)
    if wanted.remat is not None:
        require(state.remat == wanted.remat, "an edge cannot make other flags")


def _move_stack_base(context: Context, offset: int) -> None:
    """Make the user's rsp its host register plus ``offset``."""
    host_rsp = load(context, RSP)
    amount = context.state.offset - offset
    rebase_stack(context, amount)
    context.code.lea(host_rsp, host_rsp, amount)


def _place(context: Context, user: int, host: int, wanted: int) -> None:
    state = context.state
    have = state.loc[user]
    require(wanted not in (have, Loc.S), "a register cannot be brought there")
    if have == Loc.S:
        require(user == RCX, "only rcx has a known value after a dispatch")
        if wanted == Loc.M:
            context.code.move_imm(context.s0, state.cx)
            context.code.frame_store(SLOT[user], context.s0)
            state.spill(user)
            return
        load(context, user)
        have = Loc.H
    if have == Loc.M:
        load(context, user)
    elif have == Loc.H and wanted != Loc.H:
        context.code.frame_store(SLOT[user], host)
        state.store(user)


def _flags(context: Context, wanted: State) -> None:
    state = context.state
    if wanted.flags == Flags.DEAD:
        return
    require(state.flags != Flags.DEAD, "an edge needs dead flags")
    if wanted.flags == Flags.HOST:
        to_host(context)
    elif wanted.flags == Flags.SLOT:
        to_slot(context)
    elif wanted.flags == Flags.REMAT:
        require(
            state.flags in (Flags.HOST, Flags.REMAT),
            "flags that cannot be rematerialized",
        )
        state.move_flags(Flags.REMAT)
    else:
        require(state.flags == Flags.SYS, "an edge cannot make flags of a dispatch")
