# SPDX-License-Identifier: GPL-2.0-only
"""Clients of /dev/ub that do what comes to their mind, until they are killed.

Two threads of a client share its descriptor, so that what it asks for happens at the
same time. Their regions are those of ``regions.py``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import signal
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.soak.figures import Counters, Figure
from tests.soak.regions import LOOP, PAGE, PAGES, SIZE, Regions
from tests.soak.victims import Victim, choose
from ubypass.abi import ExitReason
from ubypass.device.client import Device, Gone, SourceChanged
from ubypass.device.types import Event, Lease
from ubypass.device.uapi import EventType, Tunable
from ubypass.errors import UbError

__all__ = ["FAILED", "client"]

#: The status of one that has an error of its own.
FAILED = 3

_THREADS = 2
#: How often a thread rests, and how long, in seconds: programs have to get on, too.
_RESTS, _REST = 0.25, 0.03
_MOST = 24  # attachments of a client at once
_SHARE = 60  # regions of a client, of the 256 that there are
_SMALL, _LARGE = 4096, 200_000  # bytes
_FULL_REGIONS = 200  # region loads until the arena is full, at most


@dataclass(slots=True)
class _Attachment:
    victim: Victim
    proc: int
    regions: set[int] = field(default_factory=set)
    #: Counters that were reported.
    dispatched: int = 0
    runs: int = 0
    faults: int = 0


class _Client:
    """What the threads of a client share. Racy on purpose: so are its requests."""

    def __init__(
        self,
        victims: Callable[[], list[Victim]],
        regions: Regions,
        count: Callable[[Figure, int], None],
    ) -> None:
        self._victims = victims
        self._regions = regions
        self._count = count
        self._device = Device()
        self._attachments: dict[int, _Attachment] = {}
        self._reporting = threading.Lock()

    def play(self, chance: random.Random) -> None:
        """Do one thing after the other, for ever."""
        things: list[tuple[int, Callable[[random.Random], None]]] = [
            (8, self._attach),
            (60, self._load),
            (12, self._replace),
            (10, self._unload),
            (2, self._detach),
            (3, self._look),
            (3, self._try),
            (1, self._tune),
            (1, self._fill),
            (6, self._listen),
        ]
        weights = [weight for weight, _ in things]
        while True:
            (_, thing), *_ = chance.choices(things, weights)
            try:
                thing(chance)
            except SourceChanged:
                self._count(Figure.CHANGED, 1)
            except (Gone, ProcessLookupError, FileNotFoundError):
                pass  # that process has ended
            except (UbError, OSError) as error:
                full = getattr(error.__cause__, "errno", 0) == errno.ENOSPC
                self._count(Figure.FULL if full else Figure.REFUSED, 1)
            if chance.random() < _RESTS:
                time.sleep(chance.expovariate(1 / _REST))

    def report(self) -> None:
        """Add what the attachments have done since the last time."""
        for each in list(self._attachments.values()):
            with contextlib.suppress(Gone, UbError):
                self._report(each)

    def _report(self, each: _Attachment) -> None:
        with self._reporting:
            stats = self._device.stats(each.proc)
            faults = stats.exits.get(ExitReason.FAULT, 0)
            self._count(Figure.DISPATCHED, stats.dispatched - each.dispatched)
            self._count(Figure.RUNS, stats.runs - each.runs)
            self._count(Figure.FAULTS, faults - each.faults)
            each.dispatched, each.runs = stats.dispatched, stats.runs
            each.faults = faults

    def _some(self, chance: random.Random) -> _Attachment:
        attachments = list(self._attachments.values())
        if not attachments:
            self._attach(chance)
            attachments = list(self._attachments.values())
        if not attachments:
            raise Gone
        return chance.choice(attachments)

    def _attach(self, chance: random.Random) -> None:
        if len(self._attachments) >= _MOST:
            return
        self._follow(choose(self._victims(), chance))

    def _follow(self, victim: Victim) -> None:
        proc = self._device.attach(victim.pid, children=True)
        self._attachments[proc] = _Attachment(victim, proc)
        self._count(Figure.ATTACHED, 1)

    def _load(self, chance: random.Random) -> None:
        each = self._some(chance)
        if sum(len(one.regions) for one in list(self._attachments.values())) >= _SHARE:
            self._unload(chance)
        self._place(each, chance, 0, chance.randrange(_SMALL))

    def _replace(self, chance: random.Random) -> None:
        each = self._some(chance)
        if each.regions:
            old = chance.choice(list(each.regions))
            self._place(each, chance, old, chance.randrange(_SMALL))
            each.regions.discard(old)
            self._count(Figure.REPLACED, 1)

    def _place(
        self, each: _Attachment, chance: random.Random, replace: int, padding: int
    ) -> None:
        start = PAGES + chance.randrange(each.victim.pages) * PAGE + LOOP
        made = self._regions.translation(start, _read(each.victim.pid, start), padding)
        trial = chance.choice((0, 0, 0, 50_000_000))
        region = self._device.load(each.proc, made, replace, trial_ns=trial)
        each.regions.add(region)
        self._count(Figure.LOADED, 1)

    def _unload(self, chance: random.Random) -> None:
        each = self._some(chance)
        if each.regions:
            region = chance.choice(list(each.regions))
            self._device.unload(each.proc, region)
            each.regions.discard(region)
            self._count(Figure.UNLOADED, 1)

    def _detach(self, chance: random.Random) -> None:
        each = self._some(chance)
        with contextlib.suppress(Gone):
            self._report(each)
        self._attachments.pop(each.proc, None)
        self._device.detach(each.proc)
        self._count(Figure.DETACHED, 1)

    def _look(self, chance: random.Random) -> None:
        each = self._some(chance)
        live = self._device.regions(each.proc)
        each.regions &= live
        for region in live:
            self._device.counts(each.proc, region, 4)
        self._device.sites(each.proc)
        self._report(each)

    def _try(self, chance: random.Random) -> None:
        """Trials and leases."""
        each = self._some(chance)
        for region in list(each.regions)[:4]:
            if chance.random() < 0.5:
                self._device.grant(each.proc, region, chance.randrange(1, 10**8))
            else:
                lease = Lease(chance.randrange(10**6, 10**9), 500.0, 300.0)
                self._device.confirm(each.proc, region, chance.choice((None, lease)))

    def _tune(self, chance: random.Random) -> None:
        what, values = chance.choice(
            (
                (Tunable.SAMPLE_BITS, (0, 4, 10)),
                (Tunable.BUDGET, (1 << 10, 1 << 18)),
                (Tunable.IDLE_RUNS, (2, 64, 10_000)),
                (Tunable.GRACE_MS, (0,)),
                (Tunable.PATH_STEPS, (0, 512)),
                (Tunable.HOT_CALLS, (3, 100)),
            )
        )
        self._device.tune(what, chance.choice(values))

    def _fill(self, chance: random.Random) -> None:
        """Load until there is no room in the arena; then unload all of it."""
        each = self._some(chance)
        try:
            for _ in range(_FULL_REGIONS):
                with contextlib.suppress(SourceChanged):
                    self._place(each, chance, 0, chance.randrange(_LARGE))
        finally:
            for region in list(each.regions):
                self._device.unload(each.proc, region)
                self._count(Figure.UNLOADED, 1)
            each.regions.clear()

    def _listen(self, chance: random.Random) -> None:
        for event in self._device.events():
            self._hear(event, chance)

    def _hear(self, event: Event, chance: random.Random) -> None:
        each = self._attachments.get(event.proc)
        if event.type is EventType.DEAD:
            self._count(Figure.INVALIDATED, 1)
            if each is not None:
                each.regions.discard(event.region)
        elif event.type is EventType.PATH:
            self._device.path(event.proc)
        elif event.type is EventType.GONE and each is not None:
            with contextlib.suppress(Gone):
                self._report(each)
            self._attachments.pop(event.proc, None)
            self._device.detach(event.proc)
        elif event.type is EventType.FORK and each is not None:
            self._follow_child(each, event.target)

    def _follow_child(self, parent: _Attachment, pid: int) -> None:
        if len(self._attachments) < _MOST:
            # Its loop is in the page behind those of the threads.
            self._follow(Victim(pid, parent.victim.pages + 1))


def _read(pid: int, start: int) -> bytes:
    memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(memory, SIZE, start)
    finally:
        os.close(memory)


def _play(one: _Client, chance: random.Random) -> None:
    try:
        one.play(chance)
    except BaseException:
        traceback.print_exc()
        os._exit(FAILED)


def client(
    seed: str,
    victims: Callable[[], list[Victim]],
    regions: Regions,
    counters: Counters,
    slot: int,
) -> None:
    """Play until somebody kills this process."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    lock = threading.Lock()

    def count(figure: Figure, more: int) -> None:
        with lock:
            counters.add(slot, figure, more)

    one = _Client(victims, regions, count)
    for number in range(_THREADS):
        chance = random.Random(f"{seed}-{number}")
        threading.Thread(target=_play, args=(one, chance), daemon=True).start()
    while True:
        time.sleep(0.5)
        one.report()
