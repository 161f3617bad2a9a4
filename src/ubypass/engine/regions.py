# SPDX-License-Identifier: GPL-2.0-only
"""The regions of one process: build them, merge them, load and unload them.

Knows no time but how long it may work in one go, and nothing of why a site is
blocked. What goes wrong here leaves what is live, or native code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ubypass.abi import ExitReason, Translation
from ubypass.device.client import Gone, SourceChanged
from ubypass.device.types import Event
from ubypass.device.uapi import EventType
from ubypass.engine.blocks import Blocks
from ubypass.engine.built import Built, NothingToBuild, Refused
from ubypass.engine.group import Group, absorb, group_of, listed
from ubypass.engine.knowledge import Knowledge
from ubypass.engine.ports import DeviceLike, MemoryLike
from ubypass.engine.trial import Trials
from ubypass.errors import UbError

__all__ = ["Caps", "Grown", "Regions"]


@dataclass(frozen=True, slots=True)
class Caps:
    """Bounds for one process.

    ``regions`` and ``code_bytes`` that live at a time; ``rounds``: loads of a region
    after which it must not grow any more; ``slice``: seconds of building in one go;
    ``rereads``: loads refused in a row because the code changed under us;
    ``refusals``: builds of a region that the verifier or the module refuses; ``vain``:
    loads in a row from which nothing is dispatched. With each load the module begins
    anew to try its entries.
    """

    regions: int = 8
    code_bytes: int = 256 << 10
    rounds: int = 32
    slice: float = 0.5
    rereads: int = 3
    refusals: int = 3
    vain: int = 12


@dataclass(slots=True)
class Grown:
    """What a round of building came to.

    ``loads`` done; ``refused``: reasons why something cannot be; ``notes``: reasons
    why something stays as it is; ``unfinished``: time ran out; ``lost_code``: code
    does not stand still; ``effort``: it is worth to explore further at once;
    ``waiting``: trying more would cost the process too much at present.
    """

    loads: int = 0
    refused: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unfinished: bool = False
    lost_code: bool = False
    effort: bool = False
    waiting: bool = False


class Regions:
    """``groups`` of sites of the attachment ``proc``, each with its region.

    ``trials``: new regions are on trial.
    """

    def __init__(
        self,
        proc: int,
        device: DeviceLike,
        memory: MemoryLike,
        build: Callable[[Knowledge, MemoryLike], Built],
        knowledge: Knowledge,
        blocks: Blocks,
        caps: Caps | None = None,
        trials: Trials | None = None,
    ) -> None:
        self.groups: list[Group] = []
        self._proc = proc
        self._device = device
        self._memory = memory
        self._build = build
        self._knowledge = knowledge
        self._blocks = blocks
        self._caps = caps or Caps()
        self._trials = trials
        self._orphans: dict[int, list[int]] = {}

    @property
    def live(self) -> list[Group]:
        """Groups that have a region now."""
        return [group for group in self.groups if group.region]

    def is_stale(self, event: Event) -> bool:
        """Whether it says something that a later build may have mended."""
        return (
            event.type is EventType.MISS
            and event.nr == ExitReason.FRONTIER
            and all(group.region != event.region for group in self.groups)
        )

    def nonpointers(self, event: Event) -> int:
        """At a fault that is told of: the registers, one bit each, that hold no address
        and for which the region leaves there.
        """
        for group in self.groups:
            if group.region == event.region and group.loaded is not None:
                return dict(group.loaded.anchored).get(event.ip, 0) & event.target
        return 0

    def concern(self, event: Event) -> str:
        """An event taught something: who must be built? Else the reason."""
        group = group_of(self.groups, event.region, event.ip)
        if event.type is EventType.HOT:
            return self.want(event.ip)
        for each in [group] if group is not None else self.groups:
            self._wish(each)
        return ""

    def want(self, site: int) -> str:
        """``site`` is to be boosted; "" or the reason why it cannot be."""
        group = group_of(self.groups, 0, site)
        if group is None:
            if len(self.groups) >= self._caps.regions:
                return f"more than {self._caps.regions} regions are too many"
            self.groups.append(Group({site}))
            return ""
        if site not in group.sites:
            group.sites.add(site)
            group.rounds = group.refusals = group.vain = 0
            group.frozen = False
        group.dirty = True
        return ""

    def touch(self, site: int) -> bool:
        """Build again what has to do with ``site``; whether there is anything."""
        group = group_of(self.groups, 0, site)
        if group is not None:
            group.dirty = True
        return group is not None

    def hint(self, site: int) -> bool:
        """There is more to know of what has to do with ``site``; is there anything?"""
        group = group_of(self.groups, 0, site)
        if group is not None:
            self._wish(group)
        return group is not None

    def _wish(self, group: Group) -> None:
        """Build again, but what runs well is left as it is."""
        if group.region:
            group.missed = not group.frozen
        else:
            group.dirty = not group.frozen

    def reconsider(self) -> bool:
        """Which of those that lack something are to be built again? Is there any?"""
        for group in self.groups:
            if group.missed and not group.dirty and self._lacks(group):
                group.dirty = True
        return any(group.dirty for group in self.groups)

    def _lacks(self, group: Group) -> bool:
        assert group.loaded is not None
        try:
            counts = self._device.counts(
                self._proc, group.region, len(group.loaded.exits)
            )
        except Gone:
            return False  # the region at least; there will be an event
        return group.lacks(counts, self._blocks.stops())

    def dead(self, region: int) -> bool:
        """The module has dropped a region; whether it was one that counts."""
        for group in self.groups:
            if region and group.region == region:
                # The module keeps its place for it until then.
                self._end(region)
                group.dead()
                group.dirty = True
                return True
        return False

    def lost(self) -> bool:
        """Ask which regions live, and drop the others; whether there were any.

        For when the module may have dropped some without our hearing of it. Raises
        ``Gone``.
        """
        live = self._device.regions(self._proc)
        dead = [group.region for group in self.live if group.region not in live]
        for region in dead:
            self.dead(region)
        return bool(dead)

    def grow(self, clock: Callable[[], float]) -> Grown:
        """Build and load what is dirty. Raises ``Gone``."""
        grown = Grown()
        began = clock()
        self.reconsider()
        for group in list(self.groups):
            if group not in self.groups or not group.dirty:
                continue  # taken in by another one meanwhile
            if clock() - began > self._caps.slice:
                grown.unfinished = True
                break
            group.dirty = group.missed = False
            self._grow(group, grown)
        reached: set[int] = set()
        for group in self.groups:
            if group.built is not None:
                reached.update(group.built.region.blocks)
        if self._knowledge.raise_effort(reached):
            grown.effort = True
            for group in self.groups:
                group.dirty = not group.frozen
        return grown

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
            self._memory.refresh()
            self._knowledge.forget_unless(self._memory.is_code)
            self._knowledge.stops = self._blocks.stops()
            try:
                if group.sites <= self._blocks.muted():
                    raise NothingToBuild
                built = self._merged(group)
            except NothingToBuild:
                self._empty(group)
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
        """What is live has passed the verifier and stays; it does not grow for ever."""
        grown.refused.append(reason)
        group.refusals += 1
        group.frozen = group.refusals >= self._caps.refusals

    def _merged(self, group: Group) -> Built:
        """A build that no other group's sites are part of any more."""
        while True:
            sites = group.sites - self._knowledge.stops
            built = self._build(self._knowledge.only(sites), self._memory)
            taken = absorb(self.groups, group, built)
            if not taken:
                return built
            orphans = self._orphans.setdefault(id(group), [])
            for other in taken:
                orphans += [other.region] if other.region else []
                orphans += self._orphans.pop(id(other), [])

    def _load(self, group: Group, built: Built, grown: Grown) -> bool:
        """Make it live; False if it is, or must not be. Raises as ``Device.load``."""
        translation = listed(built.translation, self._blocks.muted())
        if not translation.entries:
            self._unload(group)
            return False
        if translation == group.loaded:
            self._unload_orphans(group)
            return False
        others = sum(g.code_bytes for g in self.groups if g is not group)
        if others + len(translation.code) > self._caps.code_bytes:
            grown.notes.append(f"over {self._caps.code_bytes >> 10} KiB are too much")
            group.frozen = True
            return False
        group.vain = group.vain + 1 if self._is_vain(group) else 0
        if group.vain >= self._caps.vain:
            grown.notes.append("runs never get to a system call that can be dispatched")
            group.frozen = True
            return False
        region = self._try(group, translation)
        if not region:
            grown.waiting = group.dirty = True
            return False
        group.live(region, built, translation)
        self._unload_orphans(group)
        if group.rounds >= self._caps.rounds and not group.frozen:
            group.frozen = True
            grown.notes.append(
                f"a region did not settle in {group.rounds} rounds: left as it is"
            )
        return True

    def _try(self, group: Group, translation: Translation) -> int:
        """The number of its new region, 0: not at present. Raises as ``load``."""
        if self._trials is None:
            return self._device.load(self._proc, translation, group.region)
        entries = [entry.user_ip for entry in translation.entries]
        admission = self._trials.admit(entries, group.region)
        if admission is None:
            return 0
        credit = self._trials.credit(admission)
        spent = self._trials.spent(group.region)
        try:
            region = self._device.load(
                self._proc, translation, group.region, trial_ns=credit
            )
        except BaseException:
            # What is live goes on, by what it has been lent.
            self._trials.refund(admission)
            raise
        self._trials.ending(group.region, spent)
        self._trials.loaded(region, admission)
        return region

    def _is_vain(self, group: Group) -> bool:
        """Whether its region was entered, and has not dispatched anything."""
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
        """None of its sites can be built from."""
        if group.region and not group.sites <= self._blocks.muted():
            return  # live code has passed the module's own look at the source
        self._unload(group)
        self.groups.remove(group)

    def _unload(self, group: Group) -> None:
        self._unload_orphans(group)
        if group.region:
            self._end(group.region)
            group.dead()

    def _unload_orphans(self, group: Group) -> None:
        for region in self._orphans.pop(id(group), []):
            self._end(region)

    def _end(self, region: int) -> None:
        if self._trials is not None:
            self._trials.ending(region)
        self._device.unload(self._proc, region)
