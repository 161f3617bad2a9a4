# SPDX-License-Identifier: GPL-2.0-only
"""The regions of one process: builds, merges, loads and unloads them.

Independent of time, except for the bound of one round of builds, and of the reasons for
suppressions. After an error the live region stays, or native code.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from ubypass.abi import ExitReason, SiteKey, Translation
from ubypass.device.client import Gone, SourceChanged
from ubypass.device.types import Event
from ubypass.device.uapi import EventType
from ubypass.engine.built import Built, NothingToBuild, Postponed, Reached, Refused
from ubypass.engine.group import Group, absorb, group_of, group_with, without_entries
from ubypass.engine.ports import DeviceLike, MemoryLike
from ubypass.engine.profile import Profile
from ubypass.engine.site_graph import SiteGraph
from ubypass.engine.suppressions import Suppressions
from ubypass.engine.trial import Trials
from ubypass.errors import UbError

__all__ = ["Caps", "Grown", "Regions"]


@dataclass(frozen=True, slots=True)
class Caps:
    """Bounds for one process.

    ``regions`` and ``code_bytes`` that live at a time; ``rounds``: loads of a region
    after which it must not grow any more; ``slice``: seconds of building in one go;
    ``rereads``: loads refused in a row because the code changed under us;
    ``refusals``: builds of a region that the verifier or the module refuses;
    ``unproductive``: loads in a row from which nothing is dispatched. With each
    load the module tries all entries anew.
    """

    regions: int = 8
    code_bytes: int = 512 << 10
    rounds: int = 32
    slice: float = 0.5
    rereads: int = 3
    refusals: int = 3
    unproductive: int = 12


@dataclass(slots=True)
class Grown:
    """The result of a round of builds.

    ``loads``: number of loads; ``refused``: why builds or loads were refused;
    ``notes``: why regions stay as they are; ``unfinished``: the time of the round was
    used up; ``lost_code``: the code changed during each build; ``explore_further``: a
    build that explores further is worth it at once; ``waiting``: the budget of trials
    is used up; ``postponed``: seconds after which to build again, 0: not for this
    reason.
    """

    loads: int = 0
    refused: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unfinished: bool = False
    lost_code: bool = False
    explore_further: bool = False
    waiting: bool = False
    postponed: float = 0.0


class Regions:
    """Of the attachment ``proc``: ``groups`` of sites, each with its region.

    ``trials``: admits loads; None: regions are not put on trial. ``graph``: traced
    gaps between sites.
    """

    def __init__(
        self,
        proc: int,
        device: DeviceLike,
        memory: MemoryLike,
        build: Callable[[Profile, MemoryLike], Built],
        profile: Profile,
        suppressions: Suppressions,
        caps: Caps | None = None,
        trials: Trials | None = None,
        graph: SiteGraph | None = None,
    ) -> None:
        self.groups: list[Group] = []
        self._proc = proc
        self._device = device
        self._memory = memory
        self._build = build
        self._profile = profile
        self._suppressions = suppressions
        self._caps = caps or Caps()
        self._trials = trials
        self._graph = graph if graph is not None else SiteGraph()
        self._orphans: dict[int, list[int]] = {}

    @property
    def live(self) -> list[Group]:
        """Groups that have a region now."""
        return [group for group in self.groups if group.region]

    def is_stale(self, event: Event) -> bool:
        """Whether a miss is of a replaced region, so that a build may have fixed it."""
        return (
            event.type is EventType.MISS
            and event.nr == ExitReason.FRONTIER
            and all(group.region != event.region for group in self.groups)
        )

    def nonpointers(self, event: Event) -> int:
        """Clamped registers that hold no address at a reported fault, one bit each.

        0 if the region has no exit for that.
        """
        for group in self.groups:
            if group.region == event.region and group.loaded is not None:
                return dict(group.loaded.anchored).get(event.ip, 0) & event.target
        return 0

    def on_event(self, event: Event) -> str:
        """Request builds for what was learned; "" or why a site gets none."""
        if event.type is EventType.HOT:
            return self.add_site(event.key)
        group = group_with(self.groups, event.region)
        if group is not None:
            group.mark_incomplete()
        else:
            self.mark_all_incomplete()
        return ""

    def add_site(self, site: SiteKey) -> str:
        """Put ``site`` into a group, to be built; "" or the reason why it cannot be."""
        group = group_of(self.groups, site)
        if group is None:
            if len(self.groups) >= self._caps.regions:
                return f"the limit of {self._caps.regions} regions is reached"
            self.groups.append(Group({site}))
            return ""
        group.add_site(site)
        return ""

    def invalidate(self, site: SiteKey) -> bool:
        """Request a build of the group of ``site``; whether there is one."""
        group = group_of(self.groups, site)
        if group is not None:
            group.request_build()
        return group is not None

    def mark_incomplete(self, site: SiteKey) -> bool:
        """The profile has more for the group of ``site``; whether there is one."""
        group = group_of(self.groups, site)
        if group is not None:
            group.mark_incomplete()
        return group is not None

    def mark_all_incomplete(self) -> None:
        """The profile has more, for a group that is not known."""
        for group in self.groups:
            group.mark_incomplete()

    def invalidate_lost(self) -> None:
        """Request builds of all groups without a region."""
        for group in self.groups:
            if not group.region:
                group.request_build()

    def schedule_incomplete(self) -> bool:
        """Request builds of regions that miss often; whether any group needs one."""
        for group in self.live:
            is_open = group.incomplete or self._profile.rests.dead_ends
            if is_open and not group.needs_build and self._misses_often(group):
                group.request_build()
        return any(group.needs_build for group in self.groups)

    def _misses_often(self, group: Group) -> bool:
        assert group.loaded is not None
        try:
            counts = self._device.counts(
                self._proc, group.region, len(group.loaded.exits)
            )
        except Gone:
            return False  # the region at least; there will be an event
        if self._profile.promote_rests(group.often_missed(counts)):
            group.mark_incomplete()
        dead_ends = self._profile.rests.dead_ends.keys()
        expected = {site.ip for site in self._suppressions.barriers()} | dead_ends
        return group.incomplete and group.misses_often(counts, expected)

    def on_dead(self, region: int) -> bool:
        """The module has dropped a region; whether a group has lost it."""
        for group in self.groups:
            if region and group.region == region:
                # The module keeps the number of the region until it is unloaded.
                self._end(region)
                group.set_dead()
                group.request_build()
                return True
        return False

    def drop_dead(self) -> bool:
        """Compare with the module's list of live regions; whether any was lost.

        For when events may have been lost. Raises ``Gone``.
        """
        live = self._device.regions(self._proc)
        dead = [group.region for group in self.live if group.region not in live]
        for region in dead:
            self.on_dead(region)
        return bool(dead)

    def grow(self, clock: Callable[[], float]) -> Grown:
        """Build and load what needs it. Raises ``Gone``."""
        grown = Grown()
        began = clock()
        self.schedule_incomplete()
        for group in list(self.groups):
            if group not in self.groups or not group.needs_build:
                continue  # merged into another one meanwhile
            if clock() - began > self._caps.slice:
                grown.unfinished = True
                break
            group.begin_build()
            self._grow(group, grown)
        reached: set[int] = set()
        for group in self.groups:
            if group.built is not None:
                reached.update(group.built.region.blocks)
        if self._profile.raise_effort(reached):
            grown.explore_further = True
            for group in self.groups:
                group.request_growth()
        return grown

    def reread(self) -> None:
        """Read the memory map again. Raises ``Gone``."""
        try:
            self._memory.refresh()
        except UbError as error:
            raise Gone from error

    def drop(self, group: Group) -> None:
        """Unload its region and forget it. Raises ``Gone``."""
        self._unload(group)
        self.groups.remove(group)

    def drop_all(self) -> None:
        """Unload everything."""
        for group in self.groups:
            self._unload(group)
        self.groups.clear()

    def _grow(self, group: Group, grown: Grown) -> None:
        for _ in range(self._caps.rereads):
            self.reread()
            self._profile.forget_unless(self._memory.is_code)
            self._profile.set_barriers(self._suppressions.barriers())
            try:
                if group.sites <= self._suppressions.disabled_entries():
                    raise NothingToBuild
                built = self._merged(group)
                grown.notes += [built.doubt] if built.doubt else []
            except NothingToBuild:
                self._empty(group)
                return
            except Postponed as error:
                grown.postponed = max(grown.postponed, error.seconds)
                group.request_build()
                return
            except Refused as error:
                self._refuse(group, str(error), grown)
                return
            try:
                if self._load(group, built, grown):
                    grown.loads += 1
            except SourceChanged:
                continue
            except UbError as error:
                self._refuse(group, error.message, grown)
            return
        grown.lost_code = True

    def _refuse(self, group: Group, reason: str, grown: Grown) -> None:
        grown.refused.append(reason)
        group.refused(self._caps.refusals)

    def _merged(self, group: Group) -> Built:
        """Build a group, merging it with all groups whose sites the build reaches.

        Those that traced gaps lead to are merged before: each further build takes as
        long as the first one.
        """
        barriers = self._profile.barriers
        sites = group.sites - barriers
        self._absorb(group, self._graph.reached_from(sites, barriers))
        while True:
            sites = group.sites - barriers
            others = {s for g in self.groups if g is not group for s in g.sites}
            profile = self._profile.restricted_to(sites, others)
            try:
                return self._build(profile, self._memory)
            except Reached as error:
                self._absorb(group, error.sites)

    def _absorb(self, group: Group, reached: AbstractSet[SiteKey]) -> None:
        """Merge all groups with sites in ``reached`` into ``group``."""
        taken = absorb(self.groups, group, reached)
        if not taken:
            return
        orphans = self._orphans.setdefault(id(group), [])
        for other in taken:
            orphans += [other.region] if other.region else []
            orphans += self._orphans.pop(id(other), [])

    def _load(self, group: Group, built: Built, grown: Grown) -> bool:
        """Load a build; False if it is live or must not be. Raises as ``load``."""
        translation = without_entries(
            built.translation, self._suppressions.disabled_entries()
        )
        if not translation.entries:
            self._unload(group)
            return False
        if translation == group.loaded:
            self._unload_orphans(group)
            return False
        others = sum(g.code_bytes for g in self.groups if g is not group)
        if others + len(translation.code) > self._caps.code_bytes:
            grown.notes.append(
                f"the limit of {self._caps.code_bytes >> 10} KiB of code is reached"
            )
            group.freeze()
            return False
        in_a_row = group.count_unproductive(self._is_unproductive(group))
        if in_a_row >= self._caps.unproductive:
            grown.notes.append("runs end before any dispatch")
            group.freeze()
            return False
        region = self._try(group, translation)
        if not region:
            grown.waiting = True
            group.request_build()
            return False
        group.set_live(region, built, translation)
        self._unload_orphans(group)
        if group.rounds >= self._caps.rounds and not group.frozen:
            group.freeze()
            grown.notes.append(
                f"a region still changed after {group.rounds} rounds: it stays as it is"
            )
        return True

    def _try(self, group: Group, translation: Translation) -> int:
        """Number of the loaded region; 0: the budget is used up. Raises as ``load``."""
        if self._trials is None:
            return self._device.load(self._proc, translation, group.region)
        entries = [entry.key for entry in translation.entries]
        permit = self._trials.admit(entries, group.region)
        if permit is None:
            return 0
        credit = self._trials.credit(permit)
        spent = self._trials.spent(group.region)
        try:
            region = self._device.load(
                self._proc, translation, group.region, trial_ns=credit
            )
        except BaseException:
            # The live region goes on, with the loan that it has.
            self._trials.refund(permit)
            raise
        self._trials.on_unload(group.region, spent)
        self._trials.loaded(region, permit)
        return region

    def _is_unproductive(self, group: Group) -> bool:
        """Whether its region was entered and has dispatched nothing."""
        if group.loaded is None:
            return False
        try:
            counts = self._device.counts(
                self._proc, group.region, len(group.loaded.exits)
            )
        except Gone:
            return False
        return counts.runs > 0 and not counts.dispatched

    def _empty(self, group: Group) -> None:
        """None of its sites can be built."""
        if group.region and not group.sites <= self._suppressions.disabled_entries():
            return  # the module has compared the source of live code itself
        self._unload(group)
        self.groups.remove(group)

    def _unload(self, group: Group) -> None:
        self._unload_orphans(group)
        if group.region:
            self._end(group.region)
            group.set_dead()

    def _unload_orphans(self, group: Group) -> None:
        for region in self._orphans.pop(id(group), []):
            self._end(region)

    def _end(self, region: int) -> None:
        if self._trials is not None:
            self._trials.on_unload(region)
        self._device.unload(self._proc, region)
