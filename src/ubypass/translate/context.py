# SPDX-License-Identifier: GPL-2.0-only
"""The context in which a block is lowered, and the fragment that results."""

from __future__ import annotations

import functools
from typing import Final

from ubypass.abi import Abi, ExitFlag, ExitReason
from ubypass.region.liveness import ARITHMETIC
from ubypass.translate.emit import Buffer
from ubypass.translate.labels import ExitKey, Tail
from ubypass.translate.node import Node
from ubypass.translate.registers import R11, RAX, RCX, RSP, SLOT, RegisterAssignment
from ubypass.translate.shown import Places, code_for
from ubypass.translate.state import CachedAddress, Flags, Loc, State

__all__ = ["Context", "Fragment", "exit_key"]


class Fragment:
    """A lowered block.

    ``hot`` runs first and ends with the conditional ``branch`` (condition, edge), else
    with edge ``fall``; None: control does not reach its end. ``edges`` are (user
    address, state) pairs; ``to`` says where each of them goes, None: out of the region.
    ``cold`` is code off the hot path, placed elsewhere; None for most. ``stopped``:
    position and reason of the first instruction that is not translated.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self.hot = Buffer()
        self.cold: Buffer | None = None
        self.edges: list[tuple[int, State]] = []
        self.to: list[Node | None] = []
        self.branch: tuple[int, int] | None = None
        self.fall: int | None = None
        self.stopped: tuple[int, str] | None = None

    def edge(self, target: int, state: State) -> int:
        """A new edge to ``target``; its number."""
        self.edges.append((target, state))
        return len(self.edges) - 1


class Context:
    """A point in generated code: ``state`` holds here, ``code`` grows here.

    ``live`` are the user flags live before the user instruction at ``ip``.
    """

    def __init__(
        self,
        assignment: RegisterAssignment,
        abi: Abi,
        state: State,
        code: Buffer,
        ip: int,
        live: int = ARITHMETIC,
    ) -> None:
        self.assignment = assignment
        self.abi = abi
        self.state = state
        self.code = code
        self.ip = ip
        self.live = live
        #: Whether a set ZF determines all flags.
        self.compared = False
        #: Upper half of what FRAME_FIP holds, if this block has stored it.
        self.fip = -1
        #: User registers, one bit each, that must not be clamped themselves here.
        self.nonpointers = 0
        #: Scratch host registers.
        self.s0, self.s1 = assignment.s0, assignment.s1
        self._cached_value = -1
        self._cached_value_in: Buffer = code

    def cached_address(self) -> CachedAddress | None:
        """The address or constant that the first scratch register still caches."""
        bit = 1 << self.s0
        if self.code.written & bit:
            self.code.written &= ~bit
            self.state.cached_address = None
        return self.state.cached_address

    def cache_address(self, cached: CachedAddress) -> None:
        """Note that the first scratch register now contains ``cached``."""
        self.code.written &= ~(1 << self.s0)
        self.state.cached_address = cached

    def cached_value(self) -> int:
        """The spilled user register of which the second scratch register caches the
        value; -1: none. This cache ends with the block.
        """
        if self._cached_value >= 0 and (
            self._cached_value_in is not self.code or self.code.written >> self.s1 & 1
        ):
            self._cached_value = -1
        return self._cached_value

    def cache_value(self, user: int) -> None:
        """Note that the second scratch register now contains the value of ``user``;
        -1: of none.
        """
        self.code.written &= ~(1 << self.s1)
        self._cached_value, self._cached_value_in = user, self.code

    def note_guard(self, user: int) -> None:
        """Note that the code at ``ip`` exits here if ``user`` holds no user address."""
        known = self.assignment.guarded
        known[self.ip] = known.get(self.ip, 0) | 1 << user

    def is_nonpointer(self, user: int) -> bool:
        """Whether ``user`` is known to hold no user address: a guard on it would always
        exit, so only sums with it are clamped.
        """
        return bool(self.nonpointers >> user & 1)

    def edge(self, fragment: Fragment, target: int) -> int:
        """A new edge of ``fragment`` from here to ``target``; its number."""
        self.cached_address()
        return fragment.edge(target, self.state)

    def exit(
        self,
        reason: ExitReason,
        flags: int = 0,
        target: int = -1,
    ) -> ExitKey:
        """An exit at ``ip`` in the present state."""
        return exit_key(self.assignment, self.state, self.ip, reason, flags, target)


def exit_key(
    assignment: RegisterAssignment,
    state: State,
    user_ip: int,
    reason: ExitReason,
    flags: int = 0,
    target: int = -1,
) -> ExitKey:
    """The exit at ``user_ip`` from ``state``."""
    exact = state.exact
    before = b"" if exact or state.shown is None else _show(assignment, state)
    if before:
        exact = True
    elif state.flags == Flags.SLOT:
        before = _load_flags(assignment.s0 if state.in_host(RAX) else -1)
    elif state.flags == Flags.SYS:
        flags |= _SLOT_SYSFLAGS
    elif state.flags == Flags.REMAT:
        assert state.remat is not None
        before = state.remat.code(assignment.s0)
    offset = state.offset
    cx = 0
    if state.loc[RCX] == Loc.S:
        flags |= _CX_SYS
        cx = state.cx
    if state.loc[R11] == Loc.S:
        flags |= _R11_SYS
    if target >= 0:
        flags |= _TARGET
    tail = _tail(assignment, state.loc, not offset)
    # Few exits have the same address: to compare them is faster than to make keys.
    known = assignment.exits.get(user_ip)
    if known is None:
        known = assignment.exits[user_ip] = []
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
    found = ExitKey(user_ip, reason, flags, cx, tail, target, before, stack, exact)
    known.append(found)
    return found


_SLOT_SYSFLAGS: Final = int(ExitFlag.SLOT_SYSFLAGS)
_CX_SYS: Final = int(ExitFlag.CX_SYS)
_R11_SYS: Final = int(ExitFlag.R11_SYS)
_TARGET: Final = int(ExitFlag.TARGET)


def _show(assignment: RegisterAssignment, state: State) -> bytes:
    """Code that rematerializes all of the flags; empty if that cannot be done."""
    shown = state.shown
    assert shown is not None
    # The code may need rax for itself.
    places = [state.loc[user] for user in (RAX, *sorted(shown.registers))]
    key = shown, tuple(places), state.cx if Loc.S in places else 0
    code = assignment.shown.get(key)
    if code is None:
        scratch = assignment.s0, assignment.s1
        code = code_for(shown, Places(assignment.host, state.loc, state.cx, scratch))
        assignment.shown[key] = code
    return code


@functools.cache
def _load_flags(scratch: int) -> bytes:
    out = Buffer()
    out.load_flags(scratch)
    return bytes(out.code)


def _tail(assignment: RegisterAssignment, loc: list[int], stack: bool) -> Tail:
    """The tail that stores the stale slots; the slot of rsp only if ``stack``."""
    key = int(stack)
    for user in assignment.kept:
        if loc[user] == Loc.H:
            key |= 2 << user
    found = assignment.tails.get(key)
    if found is None:
        stores = tuple(
            (SLOT[user], assignment.host[user])
            for user in assignment.kept
            if loc[user] == Loc.H and (stack or user != RSP)
        )
        found = assignment.distinct.setdefault(stores, Tail(stores))
        assignment.tails[key] = found
    return found
