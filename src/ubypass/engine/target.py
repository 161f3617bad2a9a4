# SPDX-License-Identifier: GPL-2.0-only
"""The event loop of one attached process.

Passes its events to the parts that learn from them, and calls them when something is
due. Time comes in as an argument. After any error here the process runs natively.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from ubypass.abi import ExitReason, SiteKey
from ubypass.device.client import Gone
from ubypass.device.types import Counts, Event, Site, Stats, is_lasting
from ubypass.device.uapi import Decline, EventType
from ubypass.engine.built import Built
from ubypass.engine.decision import Decision
from ubypass.engine.declines import HINTS, REASONS
from ubypass.engine.eligibility import Eligibility
from ubypass.engine.group import Group
from ubypass.engine.module_state import ModuleState
from ubypass.engine.policy import Policy
from ubypass.engine.ports import DeviceLike, MemoryLike, SamplerLike
from ubypass.engine.profile import Profile
from ubypass.engine.region_manager import RegionManager
from ubypass.engine.regions import Regions
from ubypass.engine.sampling import Sampling
from ubypass.engine.savings import Savings
from ubypass.engine.shared_history import SharedHistory
from ubypass.engine.site_decisions import SiteDecisions
from ubypass.engine.summary import Summary
from ubypass.engine.trial import Trials
from ubypass.errors import UbError
from ubypass.process.status import ProcessId

__all__ = ["Target"]

_SILENT = (
    "not boosted any more: a read of its memory was not answered, as of a file system "
    "whose server hangs"
)


class Target:
    """One attachment; ``proc`` is its number for the device.

    ``trusted``: it was attached as a trusted program, for which ``build`` builds.
    ``profile``: the profile of the process; ``decisions``: those for its sites;
    ``gone``: the process has ended, or the module has dropped it.
    """

    def __init__(
        self,
        process: ProcessId,
        proc: int,
        device: DeviceLike,
        memory: MemoryLike,
        build: Callable[[Profile, MemoryLike], Built],
        *,
        trusted: bool = False,
        open_sampler: Callable[[int], SamplerLike] | None = None,
        started_ns: int = 0,
        profile: Profile | None = None,
        history: SharedHistory | None = None,
        policy: Policy | None = None,
        log: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.process = process
        self.proc = proc
        self.trusted = trusted
        self.memory = memory
        self.profile = profile or Profile()
        self.gone = False
        self._policy = policy = policy or Policy()
        self._device = device
        self._started_ns = started_ns
        self._log = log
        self._notes: list[str] = []
        self._savings = Savings()
        self._module = ModuleState(proc, device)
        self._eligibility = Eligibility(
            policy.eligibility_delay, policy.max_look_interval
        )
        self.decisions = SiteDecisions(
            policy.admission, self.profile, self._module, history or SharedHistory()
        )
        trials = (
            Trials(proc, device, self.decisions.prices, policy.trial)
            if policy.trial
            else None
        )
        self._regions = Regions(
            proc,
            device,
            memory,
            build,
            self.profile,
            self.decisions.suppressions,
            policy.caps,
            trials,
            self.history.graph,
        )
        self._sampling = Sampling(
            partial(open_sampler, process.pid) if open_sampler else None,
            self.refresh_stats,
            longest=policy.max_sampling,
            rest=policy.sampling_pause,
        )
        self._manager = RegionManager(
            policy,
            self.profile,
            self.decisions,
            self._module,
            self._regions,
            trials,
            self._sampling,
            self._note,
        )

    # ---- figures ----------------------------------------------------------------

    @property
    def groups(self) -> list[Group]:
        """Groups of sites that have a region now."""
        return self._regions.live

    @property
    def region(self) -> int:
        """The first live region, or 0."""
        return self.groups[0].region if self.groups else 0

    @property
    def history(self) -> SharedHistory:
        """The history shared with processes that have the same code."""
        return self.decisions.history

    @property
    def declined_for(self) -> Decline:
        """Why the module declines all its threads at present, if it does."""
        return self._eligibility.declined_for

    @property
    def priced_by(self) -> str:
        """The source of prices: "clock", or the name of a model."""
        return self.decisions.prices.source

    def decide(self, site: Site) -> Decision:
        """The present decision for one of its sites."""
        entered = [group for group in self.groups if site.key in group.live_entries]
        return self.decisions.decide(
            site,
            is_entry=bool(entered),
            on_trial=any(map(self._manager.is_on_trial, entered)),
            declined_for=self.declined_for,
        )

    def refresh_stats(self) -> Stats:
        """The newest counters; the last known ones once the process is gone."""
        return self._module.refresh_stats()

    def refresh_sites(self) -> Mapping[SiteKey, Site]:
        """The newest state of all sites; the last known one once it is gone."""
        return self._module.refresh_sites()

    def counts(self, group: Group) -> Counts:
        """Counters of a live region; raises ``Gone`` if it just died."""
        return self._module.counts(group)

    def summary(self) -> Summary:
        """The figures so far (as of the last :meth:`refresh_stats`)."""
        built = [group.built for group in self.groups if group.built is not None]
        saving, run = self._book_savings()
        return Summary(
            pid=self.process.pid,
            name=self.process.name,
            alive=not self.gone,
            trusted=self.trusted,
            stats=self._module.stats,
            region=self.region,
            regions=len(self.groups),
            entries=len(self._entries),
            loads=self._manager.loads,
            region_instructions=sum(each.instructions for each in built),
            source_bytes=sum(each.source_bytes for each in built),
            code_bytes=sum(group.code_bytes for group in self.groups),
            build_seconds=self._manager.build_seconds,
            started_ns=self._started_ns,
            saving_ns=saving,
            run_ns=run,
            saved_ns=self._savings.ns,
            priced_by=self.priced_by,
            notes=tuple(self._notes),
        )

    def _book_savings(self) -> tuple[float | None, float | None]:
        """Book what was dispatched since the last time; the present prices."""
        saving, run = self.decisions.mean_prices(self._entries)
        self._savings.book(self._module.stats, saving, run)
        return saving, run

    @property
    def _entries(self) -> list[SiteKey]:
        return [key for group in self.groups for key in group.live_entries]

    # ---- events -----------------------------------------------------------------

    def attached(self, now: float) -> None:
        """The process was attached: its eligibility is requested after a delay."""
        with contextlib.suppress(Gone):
            self._manager.may_load(now)
        self._eligibility.attached(now)

    def on_event(self, event: Event, now: float) -> None:
        """Take in an event of this process."""
        if event.type is EventType.GONE:
            self.gone = True
        elif event.type is EventType.DEAD:
            self._manager.on_dead(event.region, now)
        elif event.type is EventType.TRIAL:
            self._manager.on_trial_end(event.region, now)
        elif event.type is EventType.PATH:
            self._fetch_path(now)
        elif self._is_thread_declined(event, now):
            self._note_decline(Decline(event.exit), "some of its threads are")
        elif self._manager.active and not self._regions.is_stale(event):
            if event.type is EventType.MISS and event.nr == ExitReason.FAULT:
                event = replace(event, target=self._regions.nonpointers(event))
            self._manager.add_event(event, now)

    def on_end(self) -> None:
        """The process has ended."""
        self.gone = True

    def recover(self, now: float) -> None:
        """Events were lost: request the state that they may have reported."""
        try:
            if self.refresh_stats().gone:
                self.gone = True
                return
            self._manager.drop_dead(now)
            self._fetch_path(now)
            self._check_eligibility(now)
            self._manager.check_trials(now)
        except Gone:
            self.gone = True

    def _fetch_path(self, now: float) -> None:
        """Take in the gap that was traced, if there is one."""
        with contextlib.suppress(Gone):
            path = self._device.path(self.proc)
            if path is not None and self._manager.active:
                self._manager.add_path(path, self.memory, now)

    # ---- time -------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """When :meth:`tick` has to be called next; None: not before an event."""
        times = (
            self._manager.look_due,
            self._eligibility.due,
            self._build_due,
            self._manager.poll_due,
        )
        return min((t for t in times if t is not None), default=None)

    @property
    def _build_due(self) -> float | None:
        return None if self.declined_for else self._manager.build_due

    def tick(
        self,
        now: float,
        clock: Callable[[], float] = time.monotonic,
        cpu_clock: Callable[[], float] = time.thread_time,
    ) -> None:
        """Do all work that is due. Raises only for errors of ubypass itself.

        ``cpu_clock`` gives seconds of CPU time, the cost of builds: a build that waits
        for a slow disk costs nothing meanwhile.
        """
        if self.gone:
            return
        try:
            if self._eligibility.due is not None and self._eligibility.due <= now:
                self._check_eligibility(now)
                self._eligibility.asked(now)
            self._manager.poll_trials(now)
            due = self._build_due
            if due is not None and due <= now and self._manager.may_load(now):
                self._manager.build(clock, cpu_clock)
            due = self._manager.look_due
            if due is not None and due <= now:
                self._look(now)
            if self.memory.is_silent and self._manager.active:
                self.stop(_SILENT)
        except Gone:
            self.gone = True

    def _look(self, now: float) -> None:
        if self._manager.begin_look(now):
            self._manager.drop_dead(now)
            if self._module.stats.always != self.declined_for:
                self._check_eligibility(now)
            self._manager.judge_sites(now)
            self._book_savings()
        self._manager.end_look(now)

    def stop(self, reason: str) -> None:
        """Stay native for good; ``reason`` is for people."""
        self._note(reason)
        self._manager.stop()

    def close(self) -> None:
        """Take the last counters, detach, and close the memory."""
        self._sampling.stop()
        self.refresh_stats()
        try:
            self._device.detach(self.proc)
        except UbError as error:
            self._log(error.message)
        self.memory.close()

    # ---- eligibility ------------------------------------------------------------

    def _is_thread_declined(self, event: Event, now: float) -> bool:
        """Whether a site is hot in a declined thread, while others are not declined.

        If all threads are declined, hot sites are still recorded for later.
        """
        if event.type is not EventType.HOT or not is_lasting(event.exit):
            return False
        self._check_eligibility(now)
        return not self.declined_for

    def _check_eligibility(self, now: float) -> None:
        """Ask whether the module declines all threads; nothing is built meanwhile."""
        has_ended = self._eligibility.update(self.refresh_stats().always, now)
        if self.declined_for:
            self._note_decline(self.declined_for, "it is")
        elif has_ended:
            self._log(
                f"process {self.process.pid} ({self.process.name}): can be boosted now"
            )
            self._manager.request_build(now)

    def _note_decline(self, reason: Decline, who: str) -> None:
        if self._note(f"{who} not boosted: {REASONS[reason]}"):
            self._log(f"  {HINTS[reason]}")

    def _note(self, reason: str) -> bool:
        """Log and keep a reason, once; whether it is new."""
        if not reason or reason in self._notes:
            return False
        self._notes.append(reason)
        self._log(f"process {self.process.pid} ({self.process.name}): {reason}")
        return True
