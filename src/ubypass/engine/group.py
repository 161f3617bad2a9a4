# SPDX-License-Identifier: GPL-2.0-only
"""Hot sites that share a region, and the region.

Sites whose regions reach one another belong together: a chain of calls then stays
in the kernel. Others get regions of their own, so that growth of one does not mean
building all. Plain bookkeeping; decides nothing about time or money.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace

from ubypass.abi import ExitReason, Translation
from ubypass.device.types import Counts
from ubypass.engine.built import Built

__all__ = ["Group", "absorb", "group_of", "listed"]

#: Exits that a better region would not take.
_MISSES = (
    ExitReason.RET_MISS,
    ExitReason.CALL_MISS,
    ExitReason.JUMP_MISS,
    ExitReason.FRONTIER,
    ExitReason.SYSCALL,
)

#: Dispatched calls for each miss at which it is not worth to build again: a run that
#: ends early costs about as much as two dispatches save.
_SELDOM = 32

#: Dispatched calls and misses that say something.
_TELLING = 200


@dataclass(slots=True)
class Group:
    """``sites`` are resume addresses; ``region`` is live, or 0.

    ``former`` is the region before it, ``loaded`` the translation that is live,
    ``built`` what it comes from (its entries may be more: some are not taken).
    ``missed``: it lacks something that programs came by. ``counted`` are the calls
    dispatched and the exits for lack of code when they were last looked at.
    ``rounds`` counts loads and ``refusals`` builds that came to nothing since it got
    its last site, ``vain`` loads in a row whose regions were entered and have not
    dispatched anything; ``frozen`` says that it must not grow any more.
    """

    sites: set[int]
    region: int = 0
    former: int = 0
    built: Built | None = None
    loaded: Translation | None = None
    dirty: bool = True
    missed: bool = False
    counted: tuple[int, int] = (0, 0)
    rounds: int = 0
    refusals: int = 0
    vain: int = 0
    frozen: bool = False

    @property
    def code_bytes(self) -> int:
        """Bytes of live code."""
        return len(self.loaded.code) if self.loaded else 0

    @property
    def live_entries(self) -> tuple[int, ...]:
        """Resume addresses at which the region is entered now."""
        return tuple(e.user_ip for e in self.loaded.entries) if self.loaded else ()

    def reaches(self, site: int) -> bool:
        """Whether the region runs on after the call of ``site``."""
        return self.built is not None and any(
            entry.user_ip == site for entry in self.built.translation.entries
        )

    def lacks(self, counts: Counts, stops: Container[int]) -> bool:
        """Whether what it lacks is met often, going by its counters up to now.

        It is left at ``stops`` on purpose.
        """
        assert self.loaded is not None
        # Other faults are the program's: pages that are not there yet, mostly.
        anchored = {ip for ip, _ in self.loaded.anchored}
        misses = sum(
            count
            for leave, count in zip(self.loaded.exits, counts.exits, strict=True)
            if (
                leave.reason in _MISSES
                or (leave.reason is ExitReason.FAULT and leave.user_ip in anchored)
            )
            and leave.user_ip not in stops
        )
        dispatched = counts.dispatched - self.counted[0]
        new = misses - self.counted[1]
        if dispatched + new >= _TELLING:
            self.counted = (counts.dispatched, misses)
        return new * _SELDOM > dispatched

    def live(self, region: int, built: Built, loaded: Translation) -> None:
        """``region`` has taken the place of the one before."""
        self.former, self.region = self.region, region
        self.built, self.loaded = built, loaded
        self.missed, self.counted = False, (0, 0)
        self.rounds += 1

    def dead(self) -> None:
        """There is no region any more."""
        self.former, self.region = self.region, 0
        self.built = self.loaded = None


def group_of(groups: list[Group], region: int, ip: int) -> Group | None:
    """Whom an event of ``region`` (0: of no region) at ``ip`` concerns."""
    for group in groups:
        if region and region in (group.region, group.former):
            return group
    for group in groups:
        if ip in group.sites or group.reaches(ip):
            return group
    return None


def absorb(groups: list[Group], group: Group, built: Built) -> list[Group]:
    """Take in the sites of all groups whose sites ``built`` reaches.

    ``built`` is a new build of ``group``. The groups taken in are removed from
    ``groups`` and returned; their regions still live.
    """
    reached = {entry.user_ip for entry in built.translation.entries}
    taken = [g for g in groups if g is not group and g.sites & reached]
    for other in taken:
        group.sites |= other.sites
        groups.remove(other)
    return taken


def listed(translation: Translation, muted: Container[int]) -> Translation:
    """``translation`` without the entries at ``muted`` addresses."""
    return replace(
        translation,
        entries=tuple(e for e in translation.entries if e.user_ip not in muted),
    )
