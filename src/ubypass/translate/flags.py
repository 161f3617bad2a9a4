# SPDX-License-Identifier: GPL-2.0-only
"""Keep the user's arithmetic flags while generated code needs its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ubypass.abi import FRAME_FLAGS, FRAME_SYSFLAGS
from ubypass.translate.context import Context
from ubypass.translate.facts import Unsupported
from ubypass.translate.state import Flags

# Stands for the context's first scratch register.
_S0: Final = -1


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


def settle(context: Context, writes: Iterable[int], scratch: int | None = _S0) -> None:
    """User registers are about to change: repeat what set the flags while it
    still gives the same ones. ``scratch`` as for :func:`to_host`.
    """
    state = context.state
    if state.again is None or state.again.registers.isdisjoint(writes):
        return
    if state.flags == Flags.AGAIN:
        if context.live:
            to_host(context, scratch)
        else:
            state.flags = Flags.DEAD
    state.again = None


def to_host(context: Context, scratch: int | None = _S0) -> None:
    """Bring the user's flags into the host flags.

    ``scratch`` is a scratch register that is free, or None: then this may raise
    :class:`Unsupported`.
    """
    state = context.state
    if state.flags == Flags.SLOT:
        context.code.restore_flags(FRAME_FLAGS)
    elif state.flags == Flags.SYS:
        context.code.restore_flags(FRAME_SYSFLAGS)
    elif state.flags == Flags.AGAIN:
        assert state.again is not None
        if scratch is None and state.again.scratch:
            raise Unsupported("no scratch register to get flags back with")
        register = context.s0 if scratch is None or scratch == _S0 else scratch
        context.code.code += state.again.code(register)
        if state.again.scratch:
            context.code.written |= 1 << register
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
    if context.state.flags == Flags.SLOT:
        context.code.copy_flags(FRAME_SYSFLAGS, FRAME_FLAGS)
    else:
        to_host(context)
        context.code.save_flags(FRAME_SYSFLAGS)
    context.state.flags = Flags.SYS
