# SPDX-License-Identifier: GPL-2.0-only
"""One attached process: what is known of it and the region it runs.

Decides when to build, load, drop and give up. Time comes in as an argument.
Whatever goes wrong here leaves a process that runs natively.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from ubypass.abi import ExitReason, Translation
from ubypass.device.client import Gone, SourceChanged
from ubypass.device.types import Counts, Event, Stats
from ubypass.device.uapi import EventType
from ubypass.engine.built import Built, NothingToBuild, Refused
from ubypass.engine.knowledge import Knowledge
from ubypass.engine.pace import Pace
from ubypass.engine.payoff import Payoff
from ubypass.engine.ports import DeviceLike, MemoryLike, SamplerLike
from ubypass.engine.summary import Summary
from ubypass.errors import UbError
from ubypass.process.status import ProcessId

__all__ = ["Policy", "Target"]

# Dispatched calls for each native one at which there is nothing left to look for.
_CONVERGED = 20


@dataclass(frozen=True, slots=True)
class Policy:
    """When to stop trying.

    ``rereads``: loads refused in a row because the code changed under us;
    ``deaths``: regions lost to changed code, each followed by a longer pause that
    starts with ``pause`` seconds; ``refusals``: translations that the verifier
    refused or that did not fit; ``losses``: regions that did not pay off, each
    followed by a break that is ``patience`` times longer, the first ``patience``
    seconds; ``sample``: seconds between looks at the counters; ``quiet``: seconds
    without news after which user mode is not sampled any more.
    """

    rereads: int = 3
    deaths: int = 8
    pause: float = 0.2
    refusals: int = 3
    losses: int = 3
    patience: float = 8.0
    sample: float = 1.0
    quiet: float = 3.0


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
        policy: Policy | None = None,
        log: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.process = process
        self.proc = proc
        self.memory = memory
        self.knowledge = Knowledge()
        self.region = 0
        self.built: Built | None = None
        self.gone = False
        self._device = device
        self._build = build
        self._open_sampler = open_sampler
        self._sampler: SamplerLike | None = None
        self._started_ns = started_ns
        self._policy = policy or Policy()
        self._log = log
        self._pace = Pace()
        self._payoff = Payoff()
        self._stats = Stats()
        self._next_sample: float | None = None
        self._active = True  # False: native for good
        self._deaths = 0
        self._refusals = 0
        self._losses = 0
        self._last_news = 0.0
        self._loads = 0
        self._build_seconds = 0.0
        self._notes: list[str] = []

    @property
    def deadline(self) -> float | None:
        """When :meth:`tick` wants to be called next; None: not before an event."""
        times = [self._next_sample]
        if self._active:
            times.append(self._pace.due)
        return min((t for t in times if t is not None), default=None)

    def on_event(self, event: Event, now: float) -> None:
        """Take in an event of this process."""
        if event.type is EventType.GONE:
            self.gone = True
        elif event.type is EventType.DEAD:
            self._on_dead(event, now)
        elif self._is_stale(event):
            pass  # the present region may reach what its predecessor missed
        elif self._active and self.knowledge.learn(event):
            self._last_news = now
            self._pace.news(now)

    def tick(self, now: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Do what is due. Raises only for errors of our own making."""
        if self.gone:
            return
        try:
            if self._active and self._pace.due is not None and self._pace.due <= now:
                self._rebuild(clock)
            if self._next_sample is not None and self._next_sample <= now:
                self._sample(now)
        except Gone:
            self.gone = True

    def stop(self, reason: str) -> None:
        """Stay native for good; ``reason`` is for people."""
        self._active = False
        self._note(reason)
        self._drop()
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

    def counts(self, nr_exits: int) -> Counts:
        """Counters of the live region; raises ``Gone`` if it just died."""
        return self._device.counts(self.proc, self.region, nr_exits)

    def summary(self) -> Summary:
        """The figures so far (as of the last :meth:`refresh_stats`)."""
        built = self.built
        return Summary(
            pid=self.process.pid,
            name=self.process.name,
            alive=not self.gone,
            stats=self._stats,
            region=self.region,
            entries=len(built.translation.entries) if built else 0,
            loads=self._loads,
            region_instructions=built.instructions if built else 0,
            source_bytes=built.source_bytes if built else 0,
            code_bytes=len(built.translation.code) if built else 0,
            build_seconds=self._build_seconds,
            started_ns=self._started_ns,
            notes=tuple(self._notes),
        )

    def _rebuild(self, clock: Callable[[], float]) -> None:
        self._pace.started()
        began = clock()
        self._use_samples()
        try:
            self._build_and_load(clock)
        finally:
            ended = clock()
            self._build_seconds += ended - began
            self._pace.finished(ended, ended - began)
            if self._next_sample is None:
                self._next_sample = ended + self._policy.sample

    def _build_and_load(self, clock: Callable[[], float]) -> None:
        for _ in range(self._policy.rereads):
            self.memory.refresh()
            self.knowledge.forget_unless(self.memory.is_code)
            try:
                built = self._build(self.knowledge, self.memory)
            except NothingToBuild:
                return
            except Refused as error:
                self._refused(str(error))
                return
            if self.knowledge.raise_effort(built.region.blocks):
                self._pace.news(clock())
            if self.region and self._is_live(built.translation):
                return
            try:
                region = self._device.load(self.proc, built.translation, self.region)
            except SourceChanged:
                continue
            except UbError as error:
                self._refused(error.message)
                return
            self.region, self.built = region, built
            self._loads += 1
            return
        self._lost_code(clock())

    def _is_stale(self, event: Event) -> bool:
        return (
            event.type is EventType.MISS
            and event.nr == ExitReason.FRONTIER
            and event.region != self.region
        )

    def _is_live(self, translation: Translation) -> bool:
        return self.built is not None and self.built.translation == translation

    def _on_dead(self, event: Event, now: float) -> None:
        if event.region != self.region:
            return  # one that was replaced meanwhile
        self.region, self.built = 0, None
        self._lost_code(now)

    def _lost_code(self, now: float) -> None:
        self._deaths += 1
        if self._deaths > self._policy.deaths:
            self.stop("its code keeps changing")
            return
        self._pace.pause(now, self._policy.pause * 2 ** (self._deaths - 1))

    def _refused(self, reason: str) -> None:
        self._refusals += 1
        self._note(reason)
        if self._refusals >= self._policy.refusals:
            # What is live has passed the verifier and stays.
            self._active = False

    def _sample(self, now: float) -> None:
        self._next_sample = now + self._policy.sample
        stats = self.refresh_stats()
        growing = now - self._last_news <= self._policy.quiet
        if not growing:
            self._stop_sampling()
        if self.region and self._payoff.loses(stats, growing=growing):
            self._payoff.forgive(stats)
            self._lost_money(now)

    def _lost_money(self, now: float) -> None:
        """The region makes the program slower: drop it, for a while or for good."""
        self._losses += 1
        if self._losses >= self._policy.losses:
            self.stop("boosting did not pay off: too few calls dispatched per run")
            return
        self._drop()
        self._pace.pause(now, self._policy.patience**self._losses)

    def _use_samples(self) -> None:
        """Learn where user mode spends its time, once the first region fell short."""
        if self._sampler is not None:
            self.knowledge.add_samples(self._sampler.take())
        elif (
            self._loads and self._open_sampler is not None and not self._is_converged()
        ):
            self._sampler = self._open_sampler(self.process.pid)

    def _is_converged(self) -> bool:
        """Whether nearly all calls since the last look were dispatched.

        Sampling then has nothing to find and costs the program half a percent.
        """
        before = self._stats
        after = self.refresh_stats()
        native = after.native - before.native
        return after.dispatched - before.dispatched > _CONVERGED * native

    def _stop_sampling(self) -> None:
        if self._sampler is not None:
            self._sampler.close()
            self._sampler = None

    def _drop(self) -> None:
        if self.region:
            self._device.unload(self.proc, self.region)
            self.region, self.built = 0, None

    def _note(self, reason: str) -> None:
        if reason not in self._notes:
            self._notes.append(reason)
            self._log(f"process {self.process.pid} ({self.process.name}): {reason}")
