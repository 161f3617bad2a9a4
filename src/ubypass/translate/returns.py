# SPDX-License-Identifier: GPL-2.0-only
"""Pushed return addresses that a ``ret`` need not load and compare.

If all stores since the call went to other words of this stack, the load of a ``ret``
could be forwarded from the processor's store buffer, so the load is omitted. Any other
store, a system call, and an instruction that drains the store buffer end this;
docs/limits.md describes how another thread could observe the difference. Emits nothing.

Functions on the known return addresses, which
:class:`ubypass.translate.state.State` holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ubypass.translate.insn_info import InsnInfo, Stores
from ubypass.translate.registers import RSP

__all__ = [
    "Returns",
    "above",
    "common",
    "moved",
    "pushed",
    "stored",
    "stored_by",
    "top",
]

#: Offsets from the host register of rsp, and the addresses there.
Returns = tuple[tuple[int, int], ...]

_WORD: Final = 8
#: Two addresses less than a page apart are never aliases of the same memory.
_PAGE: Final = 4096


def pushed(returns: Returns, offset: int, value: int) -> Returns:
    """After a call pushed ``value``, its return address, at ``offset``."""
    return (*stored(returns, offset, _WORD), (offset, value))


def top(returns: Returns, offset: int) -> int | None:
    """The return address at the user's rsp, which is at ``offset``; None if unknown."""
    for at, value in returns:
        if at == offset:
            return value
    return None


def above(returns: Returns, offset: int) -> Returns:
    """The return addresses that are not below the user's rsp at ``offset``."""
    return tuple(r for r in returns if r[0] >= offset)


def moved(returns: Returns, amount: int) -> Returns:
    """After ``amount`` was added to the host register of rsp."""
    return tuple((at - amount, value) for at, value in returns)


def stored(returns: Returns, at: int, size: int) -> Returns:
    """After ``size`` bytes were stored at the host register of rsp plus ``at``."""
    if not returns:
        return ()
    return tuple(
        r
        for r in returns
        if at + size <= r[0] <= at + _PAGE - _WORD
        or r[0] + _WORD <= at <= r[0] + _PAGE - size
    )


def stored_by(returns: Returns, offset: int, info: InsnInfo) -> Returns:
    """After an instruction was lowered, with the user's rsp at ``offset`` then."""
    if info.stores == Stores.NOTHING:
        return returns
    memory = info.memory
    if info.stores == Stores.PUSHED:
        return stored(returns, offset, _WORD)
    if (
        info.stores == Stores.OPERAND
        and memory is not None
        and memory.base == RSP
        and memory.index is None
        and not (memory.fs or memory.narrow)
    ):
        return stored(returns, memory.displacement + offset, memory.size)
    return ()


def common(known: Sequence[tuple[Returns, int]], offset: int) -> Returns:
    """The return addresses common to all of ``known`` (with the offset of the user's
    rsp in each), for the user's rsp at ``offset``.
    """
    if not known[0][0]:
        return ()
    found = [{(at - base, value) for at, value in returns} for returns, base in known]
    return tuple(
        (at + offset, value) for at, value in sorted(found[0].intersection(*found[1:]))
    )
