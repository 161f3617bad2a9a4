# SPDX-License-Identifier: GPL-2.0-only
"""Sites that stay native for a reason, and when to try them again.

Each time a site is blocked it stays so for longer, and finally until its behaviour
changes: until its native gap is another one. Times are seconds and come in as
arguments.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["Block", "Blocks"]


@dataclass(slots=True)
class Block:
    """``reason`` is for people; ``native_ns`` is what the gap cost natively then.

    ``stop``: the gap itself is at fault, so no region may contain it; else it is only
    not worth to enter a region there. ``long``: the gap was never tried, but takes more
    time than any that may gain. ``until``: None for as long as it behaves the same.
    ``active``: False once it may be tried again.
    """

    reason: str
    native_ns: int
    stop: bool
    until: float | None
    long: bool = False
    times: int = 1
    active: bool = True


@dataclass(slots=True)
class Blocks:
    """By resume address. ``patience``: seconds of the first block; ``growth`` of each
    later one; ``times``: blocks after which only changed behaviour helps; ``change``:
    the factor by which a gap must have changed to be another one.
    """

    patience: float = 30.0
    growth: float = 8.0
    times: int = 2
    change: float = 2.0
    _blocks: dict[int, Block] = field(default_factory=dict)

    def add(self, ip: int, reason: str, native_ns: int, now: float, stop: bool) -> None:
        """Block the site from ``now`` on.

        With ``stop`` until its behaviour changes: the gap was measured both ways.
        """
        times = self._times(ip)
        until = None
        if times < self.times and not stop:
            until = now + self.patience * self.growth ** (times - 1)
        self._blocks[ip] = Block(reason, native_ns, stop, until, times=times)

    def add_long(self, ip: int, native_ns: int, objection: str = "") -> None:
        """Block a site whose gap is too long.

        ``objection``: what its traced instructions are reason for. That the module,
        which only knows what time it takes, finds it short enough is no reason to try
        it then.
        """
        reason = objection or f"its gap of {native_ns:,} ns is too long"
        times = self._times(ip)
        self._blocks[ip] = Block(reason, native_ns, True, None, not objection, times)

    def adopt(self, ip: int, native_ns: int, other: Block, now: float) -> bool:
        """Block a site that never was because of what ``other`` says of it elsewhere.

        Not so if its gap, of ``native_ns``, is another one here.
        """
        if ip in self._blocks or self._is_other(native_ns, other.native_ns):
            return False
        if other.long:
            self.add_long(ip, native_ns)
        else:
            self.add(ip, other.reason, native_ns, now, other.stop)
        return True

    def lift(self, ip: int) -> None:
        """It may be tried again."""
        block = self.get(ip)
        if block is not None:
            block.active = False

    def _times(self, ip: int) -> int:
        old = self._blocks.get(ip)
        return old.times + 1 if old else 1

    def get(self, ip: int) -> Block | None:
        """The block that holds for the site now, if any."""
        block = self._blocks.get(ip)
        return block if block is not None and block.active else None

    def stops(self) -> set[int]:
        """Sites whose gaps no region may contain."""
        return {ip for ip, block in self._active() if block.stop}

    def muted(self) -> set[int]:
        """Sites at which no region may be entered."""
        return {ip for ip, _ in self._active()}

    def review(self, ip: int, native_ns: int, now: float, *, hot: bool = False) -> bool:
        """Is the site, whose gap costs ``native_ns`` now, to be tried again?

        ``hot``: the module finds its gaps short enough.
        """
        block = self.get(ip)
        if block is None:
            return False
        changed = self._is_other(native_ns, block.native_ns)
        if changed:
            block.times = 0
        shorter = hot and block.long and block.times < self.times
        over = block.until is not None and now >= block.until
        if changed or shorter or over:
            block.active = False
            return True
        return False

    def _is_other(self, native_ns: int, before: int) -> bool:
        before = max(before, 1)
        return native_ns > before * self.change or native_ns * self.change < before

    def _active(self) -> Iterator[tuple[int, Block]]:
        return ((ip, block) for ip, block in self._blocks.items() if block.active)
