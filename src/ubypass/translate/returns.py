# SPDX-License-Identifier: GPL-2.0-only
"""Return addresses that need not be compared: what a call has pushed is still there.

As long as nothing but this stack has been stored to, at other places, a ``ret`` would
load what the processor has in its own store buffer, so nothing is loaded. Anything
else that stores, a system call, and what empties that buffer ends it; docs/limits.md
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
#: What is nearer than a page is not the same memory under another address.
_PAGE: Final = 4096


def pushed(state: State, value: int) -> None:
    """A call has just pushed ``value``, its return address."""
    stored(state, state.offset, _WORD)
    state.returns = (*state.returns, (state.offset, value))


def top(state: State) -> int | None:
    """The return address at the user's rsp, if it is known."""
    for at, value in state.returns:
        if at == state.offset:
            return value
    return None


def left(state: State) -> None:
    """What is below the user's rsp is of no use any more."""
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
    """An instruction was lowered: forget what it can have changed."""
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
    """What is known on all ways to where rsp is ``offset`` from its host register, and
    was known in the last round.
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
