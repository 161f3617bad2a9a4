# SPDX-License-Identifier: GPL-2.0-only
"""Pushed return addresses that a ``ret`` need not load and compare.

While all stores since the call went to other words of this stack, a ``ret`` would be
served from the processor's store buffer, so the load is omitted. Any other store, a
system call, and an instruction that drains the store buffer end that; docs/limits.md
says what another thread would have to do to notice. Emits nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ubypass.translate.insn_info import InsnInfo, Stores
from ubypass.translate.registers import RSP
from ubypass.translate.state import State

__all__ = ["common", "left", "pushed", "stored", "stored_by", "top"]

_WORD: Final = 8
#: Two addresses less than a page apart are never aliases of the same memory.
_PAGE: Final = 4096


def pushed(state: State, value: int) -> None:
    """Note that a call pushed ``value``, its return address."""
    stored(state, state.offset, _WORD)
    state.returns = (*state.returns, (state.offset, value))


def top(state: State) -> int | None:
    """The return address at the user's rsp, if it is known."""
    for at, value in state.returns:
        if at == state.offset:
            return value
    return None


def left(state: State) -> None:
    """Forget the words below the user's rsp."""
    if state.returns:
        state.returns = tuple(r for r in state.returns if r[0] >= state.offset)


def stored(state: State, at: int, size: int) -> None:
    """``size`` bytes were stored at the host register of rsp plus ``at``."""
    if state.returns:
        state.returns = tuple(
            r
            for r in state.returns
            if at + size <= r[0] <= at + _PAGE - _WORD
            or r[0] + _WORD <= at <= r[0] + _PAGE - size
        )


def stored_by(state: State, info: InsnInfo) -> None:
    """Forget the words that the lowered instruction may have changed."""
    if not state.returns or info.stores == Stores.NOTHING:
        return
    memory = info.memory
    if info.stores == Stores.PUSHED:
        stored(state, state.offset, _WORD)
    elif (
        info.stores == Stores.OPERAND
        and memory is not None
        and memory.base == RSP
        and memory.index is None
        and not (memory.fs or memory.narrow)
    ):
        stored(state, memory.displacement + state.offset, memory.size)
    else:
        state.returns = ()


def common(
    states: Sequence[State], offset: int, previous: State | None
) -> tuple[tuple[int, int], ...]:
    """The words known on all edges into a block, where rsp is its host register plus
    ``offset``, and in the last round.
    """
    if not states[0].returns:
        return ()
    known = states if previous is None else (*states, previous)
    found = [
        {(at - state.offset, value) for at, value in state.returns} for state in known
    ]
    return tuple(
        (at + offset, value) for at, value in sorted(found[0].intersection(*found[1:]))
    )
