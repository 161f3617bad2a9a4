# SPDX-License-Identifier: GPL-2.0-only
"""Keep the user's arithmetic flags while generated code needs its own."""

from __future__ import annotations

from collections.abc import Iterable

from ubypass.abi import FRAME_FLAGS, FRAME_SYSFLAGS
from ubypass.translate.context import Context
from ubypass.translate.state import Flags


def clobber(context: Context) -> None:
    """The host flags are about to be lost: save the user's if somebody needs them."""
    state = context.state
    if state.flags != Flags.HOST:
        return
    if not context.live:
        state.flags = Flags.DEAD
    elif state.again is not None:
        state.flags = Flags.AGAIN
    else:
        context.code.save_flags(FRAME_FLAGS)
        state.flags = Flags.SLOT


def settle(context: Context, writes: Iterable[int]) -> None:
    """User registers are about to change: repeat a compare of them while it
    still gives the same flags.
    """
    state = context.state
    if state.again is None or state.again[1].isdisjoint(writes):
        return
    if state.flags == Flags.AGAIN:
        if context.live:
            to_host(context)
        else:
            state.flags = Flags.DEAD
    state.again = None


def to_host(context: Context) -> None:
    """Bring the user's flags into the host flags."""
    state = context.state
    if state.flags == Flags.SLOT:
        context.code.restore_flags(FRAME_FLAGS)
    elif state.flags == Flags.SYS:
        context.code.restore_flags(FRAME_SYSFLAGS)
    elif state.flags == Flags.AGAIN:
        assert state.again is not None
        context.code.code += state.again[0]
    state.flags = Flags.HOST


def to_slot(context: Context) -> None:
    """Bring the user's flags into the frame."""
    if context.state.flags == Flags.SLOT:
        return
    to_host(context)
    context.code.save_flags(FRAME_FLAGS)
    context.state.flags = Flags.SLOT


def to_sysflags(context: Context) -> None:
    """Bring the user's flags to where a system call leaves them (r11)."""
    if context.state.flags == Flags.SYS:
        return
    to_host(context)
    context.code.save_flags(FRAME_SYSFLAGS)
    context.state.flags = Flags.SYS
