# SPDX-License-Identifier: GPL-2.0-only
"""Hot sites that share a region, and the region.

Sites whose regions reach one another form one group, so that a run can pass all of
them. Other sites get regions of their own: growth of one does not rebuild the others.
Plain bookkeeping; independent of time and profitability.
"""

from __future__ import annotations

from collections.abc import Container
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from ubypass.abi import ExitReason, SiteKey, Translation
from ubypass.device.types import Counts
from ubypass.engine.built import Built

__all__ = ["Group", "absorb", "group_of", "group_with", "without_entries"]

#: Exits that a better region would not take.
_MISSES = (
    ExitReason.RET_MISS,
    ExitReason.CALL_MISS,
    ExitReason.JUMP_MISS,
    ExitReason.FRONTIER,
    ExitReason.SYSCALL,
)

#: Dispatched calls for each miss above which a build is not worth its cost: a run that
#: ends early costs about as much as two dispatches save.
_SELDOM = 32

#: Dispatched calls and misses, in sum, that make a look significant.
_TELLING = 200

#: Dispatched calls for each miss up to which a usual path is missing, not a rare one.
_USUAL = 8

#: Loads of a region, and ns for their builds, after which growth by rare paths has to
#: pay. The first ones find the usual paths.
_FREE_LOADS = 8
_FREE_NS = 500_000_000

#: ns that a run costs which ends early: the next entry and exit, and the transitions
#: until then (docs/performance.md).
_MISS_NS = 300

#: ns that one instruction of a region costs to build (``ub bench translate``).
_BUILD_NS = 40_000


@dataclass(slots=True)
class Group:
    """``sites``: hot ones; ``region``: number of the live region, or 0.

    ``former``: number of the region before it; ``loaded``: the live translation;
    ``built``: the build that it is from, which may have more entries (disabled ones).
    ``needs_build``: to be built at the next opportunity; ``incomplete``: something was
    learned since, and a build is worth it once misses are frequent. ``last_counts``:
    calls dispatched and misses at the last look. ``rounds``: loads, ``loaded_in_all``:
    instructions of their regions, and ``refusals``: builds that were refused, since the
    last site was added; ``unproductive``: loads in a row whose regions were entered and
    dispatched nothing; ``frozen``: no more growth.
    """

    sites: set[SiteKey]
    region: int = 0
    former: int = 0
    built: Built | None = None
    loaded: Translation | None = None
    needs_build: bool = True
    incomplete: bool = False
    last_counts: tuple[int, int] = (0, 0)
    rounds: int = 0
    loaded_in_all: int = 0
    refusals: int = 0
    unproductive: int = 0
    frozen: bool = False

    @property
    def code_bytes(self) -> int:
        """Bytes of live code."""
        return len(self.loaded.code) if self.loaded else 0

    @property
    def live_entries(self) -> tuple[SiteKey, ...]:
        """Sites at which the region is entered now."""
        return tuple(e.key for e in self.loaded.entries) if self.loaded else ()

    def reaches(self, site: SiteKey) -> bool:
        """Whether the region runs on after the call of ``site``."""
        return self.built is not None and any(
            entry.key == site for entry in self.built.translation.entries
        )

    # ---- requests -----------------------------------------------------------------

    def add_site(self, site: SiteKey) -> None:
        """A hot site joins the group, which may grow again.

        It needs a build, unless the live region already has an entry there: the same
        code would be built once more.
        """
        if site not in self.sites:
            self.sites.add(site)
            self.rounds = self.refusals = self.unproductive = 0
            self.loaded_in_all = 0
            self.frozen = False
        if site in self.live_entries:
            self.incomplete = True
        else:
            self.needs_build = True

    def join(self, other: Group) -> None:
        """Take over the sites of another group."""
        self.sites |= other.sites

    def request_build(self) -> None:
        """Build it at the next opportunity."""
        self.needs_build = True

    def request_growth(self) -> None:
        """Build it at the next opportunity, unless it must not grow."""
        self.needs_build = not self.frozen

    def mark_incomplete(self) -> None:
        """The profile has more than was built: rebuild once misses are frequent.

        Not if the group must not grow.
        """
        if self.region:
            self.incomplete = not self.frozen
        else:
            self.needs_build = not self.frozen

    def freeze(self) -> None:
        """No more growth until a site joins."""
        self.frozen = True

    # ---- builds -------------------------------------------------------------------

    def begin_build(self) -> None:
        """A build begins, with the whole present profile."""
        self.needs_build = self.incomplete = False

    def refused(self, limit: int) -> None:
        """A build, or its load, was refused; ``limit`` refusals freeze the group.

        The live region has passed the verifier and stays.
        """
        self.refusals += 1
        self.frozen = self.refusals >= limit

    def count_unproductive(self, unproductive: bool) -> int:
        """Loads in a row that were unproductive, the last one as given."""
        self.unproductive = self.unproductive + 1 if unproductive else 0
        return self.unproductive

    def misses_often(self, counts: Counts, expected: Container[int]) -> bool:
        """Whether runs miss code often, by the counters since the last look.

        Exits at ``expected`` addresses are no misses. After the first loads, misses
        that are not very frequent must also have cost as much as a build does: whatever
        the next one finds, all builds cost no more than the misses that they may have
        prevented.
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
            and leave.user_ip not in expected
        )
        dispatched = counts.dispatched - self.last_counts[0]
        new = misses - self.last_counts[1]
        if dispatched + new >= _TELLING:
            self.last_counts = (counts.dispatched, misses)
        if new * _USUAL > dispatched:
            return True
        return new * _SELDOM > dispatched and self._has_paid(misses)

    def often_missed(self, counts: Counts) -> set[int]:
        """Addresses of exits that runs take often, of all dispatched since the load."""
        assert self.loaded is not None
        return {
            leave.user_ip
            for leave, count in zip(self.loaded.exits, counts.exits, strict=True)
            if count >= _SELDOM and count * _SELDOM > counts.dispatched
        }

    def _has_paid(self, misses: int) -> bool:
        """Whether another build may cost no more than these misses of the region."""
        spent = self.loaded_in_all * _BUILD_NS
        if self.built is None or (self.rounds < _FREE_LOADS and spent < _FREE_NS):
            return True
        return misses * _MISS_NS >= self.built.instructions * _BUILD_NS

    def set_live(self, region: int, built: Built, loaded: Translation) -> None:
        """``region`` was loaded in place of the one before."""
        self.former, self.region = self.region, region
        self.built, self.loaded = built, loaded
        self.incomplete, self.last_counts = False, (0, 0)
        self.rounds += 1
        self.loaded_in_all += built.instructions

    def set_dead(self) -> None:
        """The region was unloaded."""
        self.former, self.region = self.region, 0
        self.built = self.loaded = None


def group_of(groups: list[Group], site: SiteKey) -> Group | None:
    """The group of ``site``; None: it is in no group."""
    for group in groups:
        if site in group.sites or group.reaches(site):
            return group
    return None


def group_with(groups: list[Group], region: int) -> Group | None:
    """The group whose region this is, or was before it was replaced; None: none."""
    for group in groups:
        if region and region in (group.region, group.former):
            return group
    return None


def absorb(
    groups: list[Group], group: Group, reached: AbstractSet[SiteKey]
) -> list[Group]:
    """Take in the sites of all groups with a site in ``reached``.

    ``reached``: where runs of ``group`` pass, or a build of it has entries. The groups
    taken in are removed from ``groups`` and returned; their regions still live.
    """
    taken = [g for g in groups if g is not group and g.sites & reached]
    for other in taken:
        group.join(other)
        groups.remove(other)
    return taken


def without_entries(
    translation: Translation, disabled: Container[SiteKey]
) -> Translation:
    """``translation`` without the entries at ``disabled`` sites."""
    return replace(
        translation,
        entries=tuple(e for e in translation.entries if e.key not in disabled),
    )
