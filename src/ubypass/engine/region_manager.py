# SPDX-License-Identifier: GPL-2.0-only
"""Builds, tries, judges and drops the regions of one process, as decided.

Combines parts with one responsibility each: the profile for what was observed, the
decisions for sites, regions and trials for loaded code, the schedules for due times.
Raises ``Gone`` with the process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ubypass.abi import SiteKey
from ubypass.cost.gap import profile_gap
from ubypass.device.types import Event, Path, Site
from ubypass.device.uapi import EventType
from ubypass.engine.backoff import Backoff
from ubypass.engine.code_changes import CodeChanges
from ubypass.engine.decision import Native
from ubypass.engine.group import Group
from ubypass.engine.look_schedule import LookSchedule
from ubypass.engine.module_state import ModuleState
from ubypass.engine.policy import Policy
from ubypass.engine.ports import MemoryLike
from ubypass.engine.profile import Profile
from ubypass.engine.regions import Regions
from ubypass.engine.sampling import Sampling
from ubypass.engine.site_decisions import Changes, SiteDecisions
from ubypass.engine.trial import Finding, Trials, Verdict
from ubypass.region.decode import Decoded

__all__ = ["RegionManager"]

#: Most admitted paths that are recognized when they are traced again.
_PATHS = 256


class RegionManager:
    """Of one process; ``note`` takes reasons for people.

    ``active``: False once the process stays native for good. ``loads``: regions loaded;
    ``build_seconds``: CPU time of all builds.
    """

    def __init__(
        self,
        policy: Policy,
        profile: Profile,
        decisions: SiteDecisions,
        module: ModuleState,
        regions: Regions,
        trials: Trials | None,
        sampling: Sampling,
        note: Callable[[str], object],
    ) -> None:
        self.active = True
        self.loads = 0
        self.build_seconds = 0.0
        self._policy = policy
        self._profile = profile
        self._decisions = decisions
        self._module = module
        self._regions = regions
        self._trials = trials
        self._sampling = sampling
        self._note = note
        self._code_changes = CodeChanges(
            policy.max_code_changes, policy.code_change_pause, policy.code_change_reset
        )
        self._looks = LookSchedule(
            policy.look_interval,
            policy.max_look_interval,
            sampled=policy.sampled_look_interval,
            quiet=policy.growth_end,
        )
        self._backoff = Backoff()
        # Young entries are traced again and again, mostly along the same paths.
        self._admitted: set[int] = set()
        self._last_hot = float("-inf")

    # ---- when something is due ------------------------------------------------------

    @property
    def build_due(self) -> float | None:
        """When to build: not before the paths of new sites can be known.

        None: there is nothing to build.
        """
        due = self._backoff.due
        if due is None or not self.active:
            return None
        if self._trials is not None:
            due = max(due, self._trials.ready)
        if self._profile.is_traced and not self._decisions.is_open():
            return due
        return max(due, self._last_hot + self._policy.trace_timeout)

    @property
    def poll_due(self) -> float | None:
        """When to poll the trials."""
        return self._trials.due if self._trials is not None else None

    @property
    def look_due(self) -> float | None:
        """When to look at the counters."""
        return self._looks.due

    def request_build(self, now: float) -> None:
        """Something has changed that a build may use."""
        self._looks.news(now)
        self._backoff.request(now)

    def may_load(self, now: float) -> bool:
        """Whether the budget of trials allows a load."""
        if self._trials is None:
            return True
        self._trials.set_time(now)
        return self._trials.ready <= now

    def stop(self) -> None:
        """Unload everything, for good."""
        self.active = False
        self._regions.drop_all()
        self._sampling.stop()

    # ---- what is learned ------------------------------------------------------------

    def add_event(self, event: Event, now: float) -> None:
        """Learn from an event of a hot site or a miss."""
        news = self._profile.add_event(event)
        if event.type is EventType.HOT and self._decisions.is_suppressed(event.key):
            return
        if news:
            if event.type is EventType.HOT:
                self._last_hot = now
            self._note(self._regions.on_event(event))
            self.request_build(now)

    def add_path(self, path: Path, memory: MemoryLike, now: float) -> None:
        """Learn from a gap that was traced, or from its rest behind a miss."""
        key = path.key
        if key is None:
            if self._profile.add_path(path):
                self._regions.mark_all_incomplete()
                self.request_build(now)
            return
        number = hash(path)
        if number not in self._admitted:
            # The libraries of a program that has just started are not in the map yet.
            self._regions.reread()
            self._module.refresh_sites()
            gap = profile_gap(path.ips, Decoded(memory))
            if not self._decisions.admit(path, gap):
                self._profile.mark_traced(key)
                self._apply_at_once(self._decisions.reject(key, gap), now)
                return
            if len(self._admitted) < _PATHS:
                self._admitted.add(number)
        if self._profile.add_path(path) and self._regions.mark_incomplete(key):
            self.request_build(now)
        self._apply_at_once(self._decisions.readmit(key), now)

    def _apply_at_once(self, changes: Changes, now: float) -> None:
        if changes:
            self._apply(changes)
            self.request_build(now)

    def _apply(self, changes: Changes) -> bool:
        """Make the regions follow changed decisions; whether any has to change."""
        changed = False
        for key, decision in changes:
            if isinstance(decision, Native):
                changed |= self._regions.invalidate(key)
                continue
            changed = True
            if key in self._profile.entries:
                self._note(self._regions.add_site(key))
            else:
                self._regions.invalidate(key)
        return changed

    # ---- builds ---------------------------------------------------------------------

    def build(self, clock: Callable[[], float], cpu_clock: Callable[[], float]) -> None:
        """Build and load the groups that need it; the clocks give seconds."""
        self._backoff.started()
        began, used = clock(), cpu_clock()
        self._sample(began)
        self._module.refresh_sites()
        self._review(began)
        self._apply(self._decisions.predict(began))
        try:
            grown = self._regions.grow(clock)
        finally:
            ended = clock()
            spent = cpu_clock() - used
            self.build_seconds += spent
            self._backoff.finished(ended, spent)
        for reason in (*grown.notes, *grown.refused):
            self._note(reason)
        if grown.loads:
            self.loads += grown.loads
            self._looks.loaded(ended)
        if grown.lost_code:
            self._code_changed(ended)
        elif grown.explore_further or grown.unfinished or grown.waiting:
            self._backoff.request(ended)
        elif grown.postponed:
            self._backoff.delay(ended, grown.postponed)
        self._looks.built(ended)

    def _sample(self, now: float) -> None:
        """Sample user mode, once the first region fell short."""
        if self._sampling.is_on:
            self._profile.add_samples(self._sampling.take())
        elif self.loads and not self._profile.traced_entries:
            self._sampling.start(now)

    def on_dead(self, region: int, now: float) -> None:
        """The module has dropped a region."""
        if self._regions.on_dead(region):
            self._code_changed(now)

    def drop_dead(self, now: float) -> None:
        """Regions may have died without an event."""
        if self._regions.drop_dead():
            self._code_changed(now)

    def _code_changed(self, now: float) -> None:
        pause = self._code_changes.record(now)
        if pause is None:
            self._note("its code changes too often")
            self.stop()
            return
        self._regions.invalidate_lost()
        self._backoff.delay(now, pause)

    # ---- trials ---------------------------------------------------------------------

    def on_trial_end(self, region: int, now: float) -> None:
        """The credit of a region, or its lease, has ended."""
        if self._trials is not None:
            self._trials.on_end(region, now)

    def check_trials(self, now: float) -> None:
        """Events were lost: poll all trials next."""
        if self._trials is not None:
            self._trials.check_all(now)

    def is_on_trial(self, group: Group) -> bool:
        """Whether the worth of the group's region is still being measured."""
        return self._trials is not None and self._trials.is_on_trial(group.region)

    def poll_trials(self, now: float) -> None:
        """Poll the trials that are due; drop the regions that lose."""
        if self._trials is None or self._trials.due is None or self._trials.due > now:
            return
        for finding in self._trials.poll(
            now,
            self._regions.live,
            self._module.refresh_sites,
            self._decisions.is_sure,
            lends=self._backoff.due is None,
        ):
            self._decisions.add_judgements(finding.judged)
            if finding.verdict is Verdict.GAINS:
                continue
            if self._may_still_gain(finding):
                self._trials.postpone(finding.group.region, now)
            else:
                self._decisions.give_up(finding, now)
                self._drop(finding.group)

    def _may_still_gain(self, finding: Finding) -> bool:
        """Whether a build is due that makes its runs longer, and only runs lose.

        A build does not change gaps that lose.
        """
        gaps_gain = all(each.saving > 0 for each in finding.judged)
        return bool(finding.judged) and gaps_gain and self._backoff.due is not None

    # ---- looks at the counters ------------------------------------------------------

    def begin_look(self, now: float) -> bool:
        """Read the counters; whether the sites have to be judged this time."""
        self._sampling.count()
        if not self._is_growing(now) or self._sampling.is_over(now):
            self._sampling.stop()
        return self._looks.is_judging_due(now)

    def end_look(self, now: float) -> None:
        """The look is over: plan the next one."""
        self._looks.looked(now, self._sampling.is_on)

    def judge_sites(self, now: float) -> None:
        """Judge all sites by the newest counters."""
        sites = self._module.refresh_sites()
        changed = self._review(now)
        if self.active:
            changed |= self._apply(self._decisions.predict(now))
        settled = (
            self._looks.is_settled(now, self._backoff.wait)
            and self._backoff.due is None
        )
        if self.active:
            changed |= self._judge(sites, now, settled)
        if self.active and (self._regions.schedule_incomplete() or changed):
            self._backoff.request(now)
        self._looks.judged(now, often=changed or self._is_growing(now))

    def _is_growing(self, now: float) -> bool:
        return self._looks.is_growing(now) and not self._sampling.converged

    def _review(self, now: float) -> bool:
        """Take in the module's findings about sites; whether decisions changed."""
        for key in self._module.sites:
            self._profile.count_call(*key)
        return self._apply(self._decisions.review(now))

    def _judge(self, sites: Mapping[SiteKey, Site], now: float, settled: bool) -> bool:
        """Judge all regions; whether one is to be built without losing entries."""
        changed = False
        if self._trials is not None:
            self._trials.set_time(now)
        for group in self._regions.live:
            judged = self._decisions.judge(sites, group.live_entries)
            if self._trials is not None:
                self._trials.on_judged(group, judged, self._decisions.is_sure)
            changes = self._decisions.suppress_losing(judged, now, settled=settled)
            if not changes:
                continue
            losing = {key for key, _ in changes}
            if any(each.gain > 0 for each in judged if each.site.key not in losing):
                group.request_build()
                changed = True
            else:
                self._drop(group)
        return changed

    def _drop(self, group: Group) -> None:
        """Drop a region without a gaining entry; sites that become hot come back."""
        self._regions.drop(group)
        for key in group.sites:
            if not self._decisions.is_suppressed(key):
                self._profile.remove_entry(key)
