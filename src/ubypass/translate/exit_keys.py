# SPDX-License-Identifier: GPL-2.0-only
"""The exits of one translation: equal exits are one object, made once.

Most instructions may exit, and blocks are lowered several times, so the data of an exit
is cached by user address and by the state on which it depends.
"""

from __future__ import annotations

import functools
from typing import Final

from ubypass.abi import ExitFlag, ExitReason
from ubypass.translate.emit import Buffer
from ubypass.translate.labels import ExitKey, Tail
from ubypass.translate.registers import R11, RAX, RCX, RSP, SLOT, RegisterAssignment
from ubypass.translate.shown import Places, Shown, code_for
from ubypass.translate.state import Flags, Loc, State

__all__ = ["ExitKeys"]

_SLOT_SYSFLAGS: Final = int(ExitFlag.SLOT_SYSFLAGS)
_CX_SYS: Final = int(ExitFlag.CX_SYS)
_R11_SYS: Final = int(ExitFlag.R11_SYS)
_TARGET: Final = int(ExitFlag.TARGET)
_PLACE_BITS: Final = 2  # of a Loc


class ExitKeys:
    """The exit keys for one register assignment, and their shared data.

    ``guarded``: by user address, the registers, one bit each, for which code exits
    there if they hold no user address.
    """

    def __init__(self, assignment: RegisterAssignment) -> None:
        self.assignment: Final = assignment
        self.guarded: dict[int, int] = {}
        #: By user address.
        self._keys: dict[int, list[ExitKey]] = {}
        #: Tails by a bit set of the stored registers, and by their stores.
        self._tails: dict[int, Tail] = {}
        self._distinct: dict[tuple[tuple[int, int], ...], Tail] = {}
        #: By the number of the object, which costs less to look up than its contents.
        self._shown: dict[int, _ShownCode] = {}
        self._distinct_shown: dict[Shown, _ShownCode] = {}

    def note_guard(self, user_ip: int, user: int) -> None:
        """The code at ``user_ip`` exits there if ``user`` holds no user address."""
        self.guarded[user_ip] = self.guarded.get(user_ip, 0) | 1 << user

    def key(
        self,
        state: State,
        user_ip: int,
        reason: ExitReason,
        flags: int = 0,
        target: int = -1,
    ) -> ExitKey:
        """The exit at ``user_ip`` from ``state``."""
        assignment, loc, place = self.assignment, state.loc, state.flags
        exact = state.exact
        before = b"" if exact or state.shown is None else self._show(state)
        if before:
            exact = True
        elif place == Flags.SLOT:
            before = _load_flags(assignment.s0 if state.in_host(RAX) else -1)
        elif place == Flags.SYS:
            flags |= _SLOT_SYSFLAGS
        elif place == Flags.REMAT:
            if state.remat is None:
                raise AssertionError("flags that cannot be rematerialized")
            before = state.remat.code(assignment.s0)
        offset = state.offset
        cx = 0
        if loc[RCX] == Loc.S:
            flags |= _CX_SYS
            cx = state.cx
        if loc[R11] == Loc.S:
            flags |= _R11_SYS
        if target >= 0:
            flags |= _TARGET
        tail = self._tail(loc, not offset)
        # Few exits have the same address: comparing them is faster than making keys.
        known = self._keys.get(user_ip)
        if known is None:
            known = self._keys[user_ip] = []
        for key in known:
            if (
                key.tail is tail
                and key.reason is reason
                and key.flags == flags
                and key.cx == cx
                and key.target == target
                and key.offset == offset
                and key.before == before
                and key.exact == exact
            ):
                return key
        stack = (assignment.host_rsp, offset) if offset else None
        found = ExitKey(
            user_ip,
            reason,
            flags,
            cx,
            tail,
            target=target,
            before=before,
            stack=stack,
            exact=exact,
        )
        known.append(found)
        return found

    def _show(self, state: State) -> bytes:
        """Code that rematerializes all of the flags; empty if that cannot be done."""
        shown = state.shown
        assert shown is not None
        known = self._shown.get(id(shown))
        if known is None:
            known = self._distinct_shown.get(shown)
            if known is None:
                known = self._distinct_shown[shown] = _ShownCode(shown)
            known.equal.append(shown)
            self._shown[id(shown)] = known
        loc = state.loc
        places = cx = 0
        for user in known.users:
            place = loc[user]
            places = places << _PLACE_BITS | place
            if place == Loc.S:
                cx = state.cx
        if cx:
            places |= cx << _PLACE_BITS * len(known.users)
        code = known.code.get(places)
        if code is None:
            assignment = self.assignment
            scratch = assignment.s0, assignment.s1
            code = code_for(shown, Places(assignment.host, loc, state.cx, scratch))
            known.code[places] = code
        return code

    def _tail(self, loc: list[int], stack: bool) -> Tail:
        """The tail that stores the stale slots; the slot of rsp only if ``stack``."""
        assignment = self.assignment
        key = int(stack)
        for user in assignment.kept:
            if loc[user] == Loc.H:
                key |= 2 << user
        found = self._tails.get(key)
        if found is None:
            stores = tuple(
                (SLOT[user], assignment.host[user])
                for user in assignment.kept
                if loc[user] == Loc.H and (stack or user != RSP)
            )
            found = self._distinct.setdefault(stores, Tail(stores))
            self._tails[key] = found
        return found


class _ShownCode:
    """Code that rematerializes the flags of equal ``Shown`` objects.

    ``equal``: these objects, which have to live as long as their numbers are used;
    ``users``: the user registers on whose places the code depends, rax first, which the
    code may need for itself; ``code``: by these places.
    """

    def __init__(self, shown: Shown) -> None:
        self.equal: Final[list[Shown]] = []
        self.users: Final = [RAX, *sorted(shown.registers)]
        self.code: Final[dict[int, bytes]] = {}


@functools.cache
def _load_flags(scratch: int) -> bytes:
    out = Buffer()
    out.load_flags(scratch)
    return bytes(out.code)
