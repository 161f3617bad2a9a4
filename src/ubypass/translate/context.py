# SPDX-License-Identifier: GPL-2.0-only
"""The context in which a block is lowered, and the fragment that results."""

from __future__ import annotations

from ubypass.abi import Abi, ExitReason
from ubypass.region.liveness import ARITHMETIC
from ubypass.translate.cached_address import CachedAddress
from ubypass.translate.emit import Buffer
from ubypass.translate.exit_keys import ExitKeys
from ubypass.translate.labels import ExitKey
from ubypass.translate.node import Node
from ubypass.translate.state import State

__all__ = ["Context", "Fragment"]


class Fragment:
    """A lowered block.

    ``hot`` runs first and ends with the conditional ``branch`` (condition, edge), else
    with edge ``fall``; None: control does not reach its end. ``edges`` are (user
    address, state) pairs; ``to`` has the target node of each edge, None: out of the
    region. ``cold`` is code off the hot path, placed elsewhere; None for most.
    ``stopped``: position and reason of the first instruction that is not translated.
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

    def lead(self, target: Node | None) -> None:
        """The next edge goes to ``target``."""
        self.to.append(target)

    def fall_through(self, edge: int) -> None:
        """Control reaches the end and continues along ``edge``."""
        self.fall = edge

    def stop(self, position: int, why: str) -> None:
        """The instruction at ``position`` is not translated."""
        self.stopped = position, why

    def open_cold(self) -> Buffer:
        """The code off the hot path."""
        if self.cold is None:
            self.cold = Buffer()
        return self.cold


class Context:
    """A point in generated code: ``state`` holds here, ``code`` grows here.

    ``live`` are the user flags live before the user instruction at ``ip``.
    """

    def __init__(
        self,
        exits: ExitKeys,
        abi: Abi,
        state: State,
        code: Buffer,
        ip: int,
        live: int = ARITHMETIC,
    ) -> None:
        self.exits = exits
        self.assignment = exits.assignment
        self.abi = abi
        self.state = state
        self.code = code
        self.ip = ip
        self.live = live
        #: Whether a set ZF determines all flags.
        self.compared = False
        #: Upper half of the value in FRAME_FIP, if this block has stored it.
        self.fip = -1
        #: User registers, one bit each, that must not be clamped themselves here.
        self.nonpointers = 0
        #: Scratch host registers.
        self.s0, self.s1 = exits.assignment.s0, exits.assignment.s1
        self._cached_value = -1
        self._cached_value_in: Buffer = code

    def begin(self, ip: int, live: int, nonpointers: int = 0) -> None:
        """The user instruction at ``ip`` is next; the other arguments hold before."""
        self.ip, self.live, self.nonpointers = ip, live, nonpointers
        self.code.mark(ip)

    def resume_at(self, ip: int) -> None:
        """A system call returns to ``ip``: later exits have this address."""
        self.ip = ip

    def note_compare(self, compares: bool) -> None:
        """The next instruction sets flags; ``compares``: ZF then determines them."""
        self.compared = compares

    def note_fip(self, high: int) -> None:
        """FRAME_FIP has ``high`` in its upper half."""
        self.fip = high

    def fork(self) -> State:
        """Continue in a copy of the state; returns the state so far."""
        before = self.state
        self.state = before.copy()
        return before

    def switch(self, code: Buffer, state: State) -> None:
        """Continue at the end of ``code``, in ``state``."""
        self.code, self.state = code, state

    def branch(
        self, fragment: Fragment, condition: int, taken: int, following: int
    ) -> State:
        """End the block: go to ``taken`` if ``condition`` holds, else to ``following``.

        Returns the state at ``taken``; the context is at the other edge afterwards.
        """
        edge = self.edge(fragment, taken)
        before = self.fork()
        fragment.branch = condition, edge
        fragment.fall = self.edge(fragment, following)
        return before

    def fall(self, fragment: Fragment, target: int) -> None:
        """End the block: go to ``target``."""
        fragment.fall = self.edge(fragment, target)

    def cached_address(self) -> CachedAddress | None:
        """The address or constant that the first scratch register still caches."""
        if self.code.written >> self.s0 & 1:
            self.code.forget_write(self.s0)
            self.state.cache_address(None)
        return self.state.cached_address

    def cache_address(self, cached: CachedAddress) -> None:
        """Note that the first scratch register now contains ``cached``."""
        self.code.forget_write(self.s0)
        self.state.cache_address(cached)

    def cached_value(self) -> int:
        """The spilled user register whose value the second scratch register caches;
        -1: none. This cache ends with the block.
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
        self.code.forget_write(self.s1)
        self._cached_value, self._cached_value_in = user, self.code

    def note_guard(self, user: int) -> None:
        """Note that the code at ``ip`` exits here if ``user`` holds no user address."""
        self.exits.note_guard(self.ip, user)

    def is_nonpointer(self, user: int) -> bool:
        """Whether ``user`` is known to hold no user address: its guard would always
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
        """An exit at ``ip`` in the current state."""
        return self.exits.key(self.state, self.ip, reason, flags, target)
