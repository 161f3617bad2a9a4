# SPDX-License-Identifier: GPL-2.0-only
"""Save and restore the user's arithmetic flags around code that changes them.

``lahf`` and ``seto`` pack the flags into a word of the frame: ``pushfq`` takes three
times as long, and ``popfq`` twenty times.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ubypass.abi import FRAME_SYSFLAGS, FRAME_TMP1
from ubypass.translate.context import Context
from ubypass.translate.insn_info import Unsupported
from ubypass.translate.registers import RAX
from ubypass.translate.state import Flags

__all__ = ["clobber", "materialize_flags", "to_host", "to_slot", "to_sysflags"]

# Means the context's first scratch register.
_S0: Final = -1


def clobber(context: Context, scratch: int | None = None) -> None:
    """Save the user's flags, if they are live, before the host flags change.

    ``scratch`` is a scratch register that is free, if there is one.
    """
    state = context.state
    if state.flags != Flags.HOST:
        return
    if not context.live:
        state.move_flags(Flags.DEAD)
    elif state.remat is not None:
        state.move_flags(Flags.REMAT)
    else:
        _save(context, scratch)
        state.move_flags(Flags.SLOT)


def _save(context: Context, scratch: int | None) -> None:
    code, state = context.code, context.state
    if not state.in_host(RAX):
        # The kernel's value in rax must not be visible.
        code.move_imm(RAX, 0)
        code.store_flags()
    elif scratch is not None:
        code.move(scratch, RAX)
        code.store_flags()
        code.move(RAX, scratch)
    else:
        code.frame_store(FRAME_TMP1, RAX)
        code.store_flags()
        code.frame_load(RAX, FRAME_TMP1)
        # The value was reloaded from memory: its interval is no longer proven.
        state.forget_interval(RAX)


def materialize_flags(
    context: Context, writes: Iterable[int], scratch: int | None = _S0
) -> None:
    """Materialize the flags before user registers change that their
    rematerialization depends on. ``scratch`` as for :func:`to_host`.
    """
    state = context.state
    remat = state.remat
    if remat is None or remat.registers.isdisjoint(writes):
        return
    if state.flags == Flags.REMAT:
        if context.live:
            to_host(context, scratch)
        else:
            state.move_flags(Flags.DEAD)
    state.set_remat(None)


def to_host(context: Context, scratch: int | None = _S0) -> None:
    """Restore the user's flags to the host flags.

    ``scratch`` is a scratch register that is free, or None: then this may raise
    :class:`Unsupported`.
    """
    state = context.state
    place = state.flags
    if place == Flags.SLOT:
        _restore(context, context.s1 if scratch == _S0 else scratch)
    elif place == Flags.SYS:
        context.code.restore_flags(FRAME_SYSFLAGS)
    elif place == Flags.REMAT:
        if state.remat is None:
            raise AssertionError("flags that cannot be rematerialized")
        if scratch is None and state.remat.scratch:
            raise Unsupported("no scratch register to get flags back with")
        register = context.s0 if scratch is None or scratch == _S0 else scratch
        context.code.raw(state.remat.code(register))
        if state.remat.scratch:
            context.code.note_write(register)
    state.move_flags(Flags.HOST)


def _restore(context: Context, scratch: int | None) -> None:
    code, state = context.code, context.state
    if scratch is not None:
        code.load_flags(scratch if state.in_host(RAX) else -1)
        return
    kept = state.in_host(RAX)
    if kept:
        code.frame_store(FRAME_TMP1, RAX)
        state.forget_interval(RAX)
    code.load_flags(-1)
    if kept:
        code.frame_load(RAX, FRAME_TMP1)


def to_slot(context: Context) -> None:
    """Save the user's flags, packed, in the frame."""
    if context.state.flags == Flags.SLOT:
        return
    to_host(context)
    _save(context, context.s1)
    context.state.move_flags(Flags.SLOT)


def to_sysflags(context: Context) -> None:
    """Save the user's flags in the slot that becomes r11 at a system call."""
    if context.state.flags == Flags.SYS:
        return
    to_host(context)
    context.code.save_flags(FRAME_SYSFLAGS)
    context.state.save_sysflags()
