# SPDX-License-Identifier: GPL-2.0-only
"""One attached process: what is known of it and the regions it runs.

Decides when to build, what to leave native, and when to give up. Time comes in as an
argument. Whatever goes wrong here leaves a process that runs natively.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from ubypass.abi import ExitReason
from ubypass.cost.gap import profile
from ubypass.device.client import Gone
from ubypass.device.types import Counts, Event, Site, Stats, is_lasting
from ubypass.device.uapi import Decline, EventType, SiteVerdict
from ubypass.engine.blocks import Blocks
from ubypass.engine.built import Built
from ubypass.engine.declines import HINTS, REASONS
from ubypass.engine.experience import Experience
from ubypass.engine.forecast import Forecast
from ubypass.engine.group import Group
from ubypass.engine.knowledge import Knowledge
from ubypass.engine.outlook import Outlook
from ubypass.engine.pace import Pace
from ubypass.engine.payoff import Judgement, Payoff
from ubypass.engine.ports import DeviceLike, MemoryLike, SamplerLike
from ubypass.engine.prices import Measured, Modelled, Prices
from ubypass.engine.regions import Caps, Regions
from ubypass.engine.summary import Summary
from ubypass.engine.trial import Finding, Trials, Trying, Verdict
from ubypass.errors import UbError
from ubypass.process.status import ProcessId
from ubypass.region.decode import Decoded

__all__ = ["Policy", "Target"]

# What the module has found out about such sites can be relied on.
_TELLING = (SiteVerdict.HOT, SiteVerdict.RARE, SiteVerdict.ENTRY)

# Waits between builds after which regions count as grown.
_SETTLED = 3

# Dispatched calls for each native one at which there is nothing left to look for.
_CONVERGED = 20


@dataclass(frozen=True, slots=True)
class Policy:
    """When to look, and when to stop trying; times in seconds.

    ``deaths``: regions lost to changed code, each followed by a longer pause that
    starts with ``pause``, unless ``peace`` lies between two (pages of code move
    without a change now and then); ``look``: between looks at the counters, at first,
    and ``rarest`` once nothing changes any more; ``peek``: between looks while user
    mode is sampled, which costs the program; ``quiet``: without news until that ends,
    ``sampling`` at most, and then not for a ``rest``. ``forecast`` says which gaps are
    left native without a try, ``trace`` how long to wait for the way of a new site;
    ``first``: until it is first asked whether the module declines all its threads;
    ``trying``: what trying may cost, None: no region is on trial.
    """

    caps: Caps = field(default_factory=Caps)
    deaths: int = 8
    pause: float = 0.2
    peace: float = 60.0
    look: float = 0.5
    rarest: float = 10.0
    peek: float = 0.05
    quiet: float = 1.0
    sampling: float = 2.0
    rest: float = 30.0
    forecast: Forecast = field(default_factory=Forecast)
    trace: float = 0.25
    first: float = 0.1
    trying: Trying | None = field(default_factory=Trying)


class Target:
    """State of one attachment; ``proc`` names it to the device."""

    def __init__(
        self,
        process: ProcessId,
        proc: int,
        device: DeviceLike,
        memory: MemoryLike,
        build: Callable[[Knowledge, MemoryLike], Built],
        *,
        open_sampler: Callable[[int], SamplerLike] | None = None,
        started_ns: int = 0,
        knowledge: Knowledge | None = None,
        experience: Experience | None = None,
        policy: Policy | None = None,
        log: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.process = process
        self.proc = proc
        self.memory = memory
        self.knowledge = knowledge or Knowledge()
        self.experience = experience or Experience()
        self.blocks = Blocks()
        self.judgements: dict[int, Judgement] = {}
        self.sites: Mapping[int, Site] = {}
        self.gone = False
        self._policy = policy or Policy()
        self._device = device
        trying = self._policy.trying
        self._outlook = Outlook(
            self._policy.forecast, self.blocks, self.experience.chains
        )
        prices = self._prices()
        self._payoff = Payoff(prices)
        self._trials = Trials(proc, device, prices, trying) if trying else None
        self._regions = Regions(
            proc,
            device,
            memory,
            build,
            self.knowledge,
            self.blocks,
            self._policy.caps,
            self._trials,
        )
        self._open_sampler = open_sampler
        self._sampler: SamplerLike | None = None
        self._started_ns = started_ns
        self._log = log
        self._pace = Pace()
        self._stats = Stats()
        self._base = Stats()  # at the last look
        self._converged = False
        self._interval = self._policy.look
        self._next_look: float | None = None
        self._next_judging = math.inf
        self._sampling_ends = -math.inf
        self._active = True  # False: native for good
        self._odd = Decline.NONE  # why all its threads are declined at present
        self._next_asking: float | None = None
        self._asking = self._policy.first
        self._deaths = 0
        self._last_death = 0.0
        self._last_news = 0.0
        self._last_load = 0.0
        self._last_hot = -math.inf
        self._loads = 0
        self._build_seconds = 0.0
        self._notes: list[str] = []

    @property
    def groups(self) -> list[Group]:
        """Groups of sites that have a region now."""
        return self._regions.live

    @property
    def region(self) -> int:
        """The first live region, or 0."""
        return self.groups[0].region if self.groups else 0

    @property
    def deadline(self) -> float | None:
        """When :meth:`tick` wants to be called next; None: not before an event."""
        times = [self._next_look, self._next_asking]
        if self._active:
            times.append(self._due)
        if self._trials is not None:
            times.append(self._trials.due)
        return min((t for t in times if t is not None), default=None)

    @property
    def _due(self) -> float | None:
        """When to build: not before the ways of new sites can be known."""
        due = self._pace.due
        if due is None or self._odd:
            return None
        if self._trials is not None:
            due = max(due, self._trials.ready)
        entries = self.knowledge.entries
        if self.knowledge.is_traced and not self._outlook.is_open(entries, self.sites):
            return due
        return max(due, self._last_hot + self._policy.trace)

    def attached(self, now: float) -> None:
        """It has just been: whether it can be boosted is asked in a moment."""
        with contextlib.suppress(Gone):
            self._may_try(now)
        self._next_asking = now + self._asking

    def on_event(self, event: Event, now: float) -> None:
        """Take in an event of this process."""
        if event.type is EventType.GONE:
            self.gone = True
        elif event.type is EventType.DEAD:
            if self._regions.dead(event.region):
                self._lost_code(now)
        elif event.type is EventType.TRIAL:
            if self._trials is not None:
                self._trials.over(event.region, now)
        elif event.type is EventType.PATH:
            self._follow(now)
        elif self._is_useless(event, now):
            self._decline(Decline(event.exit), "some of its threads are")
        elif self._active and not self._regions.is_stale(event):
            if event.type is EventType.MISS and event.nr == ExitReason.FAULT:
                event = replace(event, target=self._regions.nonpointers(event))
            site = self.knowledge.site_of(event)
            before = self.knowledge.is_shared(site)
            known = self.knowledge.learn(event)
            if self.knowledge.is_shared(site) and not before:
                self._reconsider_long(site, now)
            if event.type is EventType.HOT and self.blocks.get(event.ip):
                return
            if known:
                if event.type is EventType.HOT:
                    self._last_hot = now
                self._note(self._regions.concern(event))
                self._news(now)

    def _reconsider_long(self, site: int, now: float) -> None:
        """It makes other calls as well: its long way may be that of one of them."""
        if site in self.blocks.stops() and site in self.knowledge.entries:
            self.blocks.lift(site)
            self._note(self._regions.want(site))
            self._news(now)

    def _follow(self, now: float) -> None:
        """Learn from the gap that was traced."""
        with contextlib.suppress(Gone):
            path = self._device.path(self.proc)
            if path is None or not self._active:
                return
            site = self.refresh_sites().get(path.ip)
            native_ns = site.native_ns if site else 0
            gap = profile(path.ips, Decoded(self.memory))
            self._outlook.link(path, gap, self.memory, native_ns)
            forecast = self._policy.forecast
            shared = self.knowledge.is_shared(path.ip)
            objection = forecast.objection(gap)
            # Runs come by the long ways of some calls as well: what is not there would
            # end them, which costs more than the way does.
            if forecast.is_too_large(gap) or (objection and not shared):
                self.knowledge.traced.add(path.ip)
                if not shared and self.blocks.get(path.ip) is None:
                    self.blocks.add_long(path.ip, native_ns, objection)
                    self.experience.tell(path.ip, self.blocks.get(path.ip))
                    self._regions.touch(path.ip)
                    self._news(now)
            elif self.knowledge.follow(path) and self._regions.hint(path.ip):
                self._news(now)

    def recover(self, now: float) -> None:
        """Events were lost: ask for what they may have said."""
        try:
            if self.refresh_stats().gone:
                self.gone = True
                return
            self._heed_deaths(now)
            self._follow(now)
            self._ask(now)
            if self._trials is not None:
                self._trials.hurry(now)
        except Gone:
            self.gone = True

    def tick(
        self,
        now: float,
        clock: Callable[[], float] = time.monotonic,
        cpu_clock: Callable[[], float] = time.thread_time,
    ) -> None:
        """Do what is due. Raises only for errors of our own making.

        ``cpu_clock`` gives seconds of CPU time: what building costs. A build that waits
        for a slow disk costs nobody anything meanwhile.
        """
        if self.gone:
            return
        try:
            if self._next_asking is not None and self._next_asking <= now:
                self._ask_in_turn(now)
            self._look_at_trials(now)
            due = self._due
            if self._active and due is not None and due <= now and self._may_try(now):
                self._rebuild(clock, cpu_clock)
            if self._next_look is not None and self._next_look <= now:
                self._look(now)
        except Gone:
            self.gone = True

    def stop(self, reason: str) -> None:
        """Stay native for good; ``reason`` is for people."""
        self._active = False
        self._note(reason)
        self._regions.drop_all()
        self._stop_sampling()

    def close(self) -> None:
        """Take the last counters, detach, and let go of the memory."""
        self._stop_sampling()
        self.refresh_stats()
        try:
            self._device.detach(self.proc)
        except UbError as error:
            self._log(error.message)
        self.memory.close()

    def refresh_stats(self) -> Stats:
        """The newest counters; the last known ones once the process is gone."""
        with contextlib.suppress(Gone, UbError):
            self._stats = self._device.stats(self.proc)
        return self._stats

    def refresh_sites(self) -> Mapping[int, Site]:
        """What the module knows of sites now, by address; else what it knew last."""
        with contextlib.suppress(Gone, UbError):
            self.sites = {site.ip: site for site in self._device.sites(self.proc)}
        return self.sites

    def counts(self, group: Group) -> Counts:
        """Counters of a live region; raises ``Gone`` if it just died."""
        exits = len(group.loaded.exits) if group.loaded else 0
        return self._device.counts(self.proc, group.region, exits)

    def summary(self) -> Summary:
        """The figures so far (as of the last :meth:`refresh_stats`)."""
        built = [group.built for group in self.groups if group.built is not None]
        saving, run = self._payoff.usual(self.judgements, self._entries)
        return Summary(
            pid=self.process.pid,
            name=self.process.name,
            alive=not self.gone,
            stats=self._stats,
            region=self.region,
            regions=len(self.groups),
            entries=sum(len(group.live_entries) for group in self.groups),
            loads=self._loads,
            region_instructions=sum(each.instructions for each in built),
            source_bytes=sum(each.source_bytes for each in built),
            code_bytes=sum(group.code_bytes for group in self.groups),
            build_seconds=self._build_seconds,
            started_ns=self._started_ns,
            saving_ns=saving,
            run_ns=run,
            priced_by=self.priced_by,
            notes=tuple(self._notes),
        )

    @property
    def priced_by(self) -> str:
        """What tells the worth of gaps and runs: "clock", or the name of a model."""
        return self._payoff.prices.source

    @property
    def _entries(self) -> list[int]:
        return [ip for group in self.groups for ip in group.live_entries]

    @property
    def odd(self) -> Decline:
        """Why the module declines all its threads at present, if it does."""
        return self._odd

    # ---- what cannot be boosted -------------------------------------------------

    def _is_useless(self, event: Event, now: float) -> bool:
        """Is a site hot in a thread that gains nothing, while others might?

        If all are like that, what is hot is worth to know for later.
        """
        if event.type is not EventType.HOT or not is_lasting(event.exit):
            return False
        self._ask(now)
        return not self._odd

    def _ask_in_turn(self, now: float) -> None:
        """A little after the start, and as long as it cannot be boosted."""
        self._ask(now)
        if self._odd:
            self._asking = min(self._policy.rarest, self._asking * 1.5)
            self._next_asking = now + self._asking
        else:
            self._asking = self._policy.first
            self._next_asking = None

    def _ask(self, now: float) -> None:
        """Does the module decline all its threads? Then nothing is built."""
        before, self._odd = self._odd, self.refresh_stats().always
        if self._odd:
            self._next_asking = min(self._next_asking or math.inf, now + self._asking)
            self._decline(self._odd, "it is")
        elif before:
            self._log(
                f"process {self.process.pid} ({self.process.name}): "
                "nothing keeps it from being boosted any more"
            )
            self._news(now)

    def _decline(self, reason: Decline, who: str) -> None:
        if self._note(f"{who} not boosted: {REASONS[reason]}"):
            self._log(f"  {HINTS[reason]}")

    # ---- growth ---------------------------------------------------------------

    def _news(self, now: float) -> None:
        self._last_news = now
        self._interval = self._policy.look
        self._pace.news(now)

    def _rebuild(
        self, clock: Callable[[], float], cpu_clock: Callable[[], float]
    ) -> None:
        self._pace.started()
        began, used = clock(), cpu_clock()
        self._use_samples(began)
        self._heed(self.refresh_sites(), began)
        self._leave_alone(began)
        try:
            grown = self._regions.grow(clock)
        finally:
            ended = clock()
            spent = cpu_clock() - used
            self._build_seconds += spent
            self._pace.finished(ended, spent)
        for reason in (*grown.notes, *grown.refused):
            self._note(reason)
        if grown.loads:
            self._loads += grown.loads
            self._last_load = ended
            self._interval = self._policy.look
        if grown.lost_code:
            self._lost_code(ended)
        elif grown.effort or grown.unfinished or grown.waiting:
            self._pace.news(ended)
        self._plan_look(ended)

    def _heed_deaths(self, now: float) -> None:
        """Regions may be gone without an event. Raises ``Gone``."""
        if self._regions.lost():
            self._lost_code(now)

    def _lost_code(self, now: float) -> None:
        if now - self._last_death > self._policy.peace:
            self._deaths = 0
        self._last_death = now
        self._deaths += 1
        if self._deaths > self._policy.deaths:
            self.stop("its code keeps changing")
            return
        for group in self._regions.groups:
            group.dirty = group.dirty or not group.region
        self._pace.pause(now, self._policy.pause * 2 ** (self._deaths - 1))

    # ---- trials ---------------------------------------------------------------

    def _may_try(self, now: float) -> bool:
        """May a region be loaded, by what trying has cost of late? Raises ``Gone``."""
        if self._trials is None:
            return True
        self._trials.begin(now)
        return self._trials.ready <= now

    def _look_at_trials(self, now: float) -> None:
        """Look at the regions whose time has come; give up those that lose."""
        due = self._trials.due if self._trials is not None else None
        if self._trials is None or due is None or due > now:
            return
        for finding in self._trials.look(
            now, self.groups, self.refresh_sites, self._outlook.is_sure
        ):
            self.judgements.update((each.site.ip, each) for each in finding.judged)
            if finding.verdict is Verdict.GAINS:
                continue
            # Its runs are about to become longer; its gaps are what they are.
            short = all(each.saving > 0 for each in finding.judged)
            if finding.judged and short and self._pace.due is not None:
                self._trials.postpone(finding.group.region, now)
            else:
                self._give_up(finding, now)

    def _give_up(self, finding: Finding, now: float) -> None:
        """A region loses, or nothing could be found out: its sites are left native."""
        bad = {x.site.ip: x for x in finding.judged if x.gain <= 0}
        for ip in finding.group.live_entries:
            site = self.sites.get(ip)
            native_ns = site.native_ns if site else 0
            if ip in bad:
                stop = bad[ip].saving < 0
                self.blocks.add(ip, self._loss(bad[ip]), native_ns, now, stop)
            elif not bad:
                reason = "runs from there lose"
                if finding.verdict is Verdict.UNKNOWN:
                    reason = "a trial does not tell what runs from there are worth"
                self.blocks.add(ip, reason, native_ns, now, stop=False)
            self.experience.tell(ip, self.blocks.get(ip))
        self._drop(finding.group)

    # ---- pay-off --------------------------------------------------------------

    def _prices(self) -> Prices:
        forecast = self._policy.forecast
        if forecast.is_final:
            return Modelled(forecast.model, self._outlook.saving)
        return Measured(forecast.model)

    def _look(self, now: float) -> None:
        self._compare()
        if not self._is_growing(now) or now >= self._sampling_ends:
            self._stop_sampling()
        if now >= self._next_judging:
            self._look_at_sites(now)
        sampled = self._sampler is not None
        soon = now + self._policy.peek if sampled else self._next_judging
        self._next_look = min(soon, self._next_judging)

    def _look_at_sites(self, now: float) -> None:
        self._heed_deaths(now)
        if self._stats.always != self._odd:
            self._ask(now)
        sites = self.refresh_sites()
        changed = self._heed(sites, now)
        if self._active:
            changed |= self._leave_alone(now)
        # While regions grow, runs still become longer; gaps are what they are.
        least = max(self._policy.look, _SETTLED * self._pace.wait)
        settled = now - self._last_load >= least and self._pace.due is None
        if self._active:
            changed |= self._judge(sites, now, settled)
        if self._active and (self._regions.reconsider() or changed):
            self._pace.news(now)
        if changed or self._is_growing(now):
            self._interval = self._policy.look
        else:
            self._interval = min(self._policy.rarest, self._interval * 1.5)
        self._next_judging = now + self._interval

    def _plan_look(self, now: float) -> None:
        """After a build: look again soon, however rarely it was done of late."""
        self._next_judging = min(self._next_judging, now + self._interval)
        self._next_look = min(now + self._policy.peek, self._next_judging)

    def _is_growing(self, now: float) -> bool:
        latest = max(self._last_news, self._last_load)
        return now - latest <= self._policy.quiet and not self._converged

    def _heed(self, sites: Mapping[int, Site], now: float) -> bool:
        """Leave alone what the module finds too long; try again what has changed."""
        changed = False
        for ip, site in sites.items():
            self.knowledge.number(ip, site.nr)
            if site.verdict is SiteVerdict.LONG:
                if self.blocks.get(ip) is None:
                    self.blocks.add_long(ip, site.native_ns)
                    changed |= self._regions.touch(ip)
            elif site.verdict in _TELLING and self.blocks.review(
                ip, site.native_ns, now, hot=site.verdict is SiteVerdict.HOT
            ):
                self._payoff.forget([ip])
                changed = True
                if ip in self.knowledge.entries:
                    self._note(self._regions.want(ip))
                else:
                    self._regions.touch(ip)
        return changed

    def _leave_alone(self, now: float) -> bool:
        """Do without sites from which runs cannot earn what they cost."""
        changed = self._heed_family(now)
        left, back = self._outlook.look(
            self.knowledge.entries, self.sites, self.judgements, now
        )
        changed |= bool(back)
        for ip in back:
            self._note(self._regions.want(ip))
        for ip in left:
            changed |= self._regions.touch(ip)
        return changed

    def _heed_family(self, now: float) -> bool:
        """Do without sites that gained nothing in another process with this code."""
        changed = False
        for ip in self.knowledge.entries:
            other = self.experience.found.get(ip)
            site = self.sites.get(ip)
            judged = self.judgements.get(ip)
            if other is None or site is None or (judged and judged.gain > 0):
                continue
            if self.blocks.adopt(ip, site.native_ns, other, now):
                changed |= self._regions.touch(ip)
        return changed

    def _judge(self, sites: Mapping[int, Site], now: float, settled: bool) -> bool:
        changed = False
        if self._trials is not None:
            self._trials.begin(now)
        for group in self.groups:
            judged = self._payoff.look(sites, group.live_entries)
            self.judgements.update((each.site.ip, each) for each in judged)
            if self._trials is not None:
                self._trials.learn(group, judged, self._outlook.is_sure)
            bad = [
                each
                for each in judged
                if (each.slow or each.keeps_losing or (each.loses and settled))
                and not self._outlook.is_sure(each)
            ]
            for each in bad:
                ip, native_ns = each.site.ip, each.site.native_ns
                reason = self._loss(each)
                self.blocks.add(ip, reason, native_ns, now, each.saving < 0)
                self.experience.tell(ip, self.blocks.get(ip))
            if not bad:
                continue
            if any(each.gain > 0 for each in judged if each not in bad):
                group.dirty = True
                changed = True
            else:
                self._drop(group)
        return changed

    def _loss(self, judged: Judgement) -> str:
        """Why a site is left native, for people."""
        site, forecast = judged.site, self._policy.forecast
        if judged.slow and forecast.is_final:
            return (
                f"its gap loses {-judged.saving:,.0f} ns (model {forecast.model.name})"
            )
        if judged.slow:
            native, boosted = f"{site.native_ns:,}", f"{site.boosted_ns:,}"
            return f"its gap takes {native} ns natively, {boosted} ns boosted"
        return f"runs of {judged.calls:.1f} calls lose {-judged.gain:,.0f} ns each"

    def _drop(self, group: Group) -> None:
        """Nothing in it earns; sites that turn out to be hot all the same come back."""
        self._regions.drop(group)
        for ip in group.sites:
            if self.blocks.get(ip) is None:
                self.knowledge.entries.pop(ip, None)

    # ---- samples of user mode -------------------------------------------------

    def _use_samples(self, now: float) -> None:
        """Learn where user mode spends its time, once the first region fell short."""
        if self._sampler is not None:
            self.knowledge.add_samples(self._sampler.take())
        elif (
            self._loads and self._open_sampler is not None and not self.knowledge.traced
        ):
            self._compare()
            if not self._converged and now >= self._sampling_ends + self._policy.rest:
                self._sampler = self._open_sampler(self.process.pid)
                self._sampling_ends = now + self._policy.sampling

    def _compare(self) -> None:
        """Were nearly all calls since the last time dispatched?

        Sampling then has nothing to find and costs the program half a percent.
        """
        before, after = self._base, self.refresh_stats()
        self._base = after
        native = after.native - before.native
        dispatched = after.dispatched - before.dispatched
        self._converged = dispatched > _CONVERGED * native

    def _stop_sampling(self) -> None:
        if self._sampler is not None:
            self._sampler.close()
            self._sampler = None

    def _note(self, reason: str) -> bool:
        """Say and keep a reason, once; whether it is new."""
        if not reason or reason in self._notes:
            return False
        self._notes.append(reason)
        self._log(f"process {self.process.pid} ({self.process.name}): {reason}")
        return True
