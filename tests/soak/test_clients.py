# SPDX-License-Identifier: GPL-2.0-only
"""A client against a device that is none, and against the pages of a real process."""

from __future__ import annotations

import errno
import os
import random
import time
from pathlib import Path

import pytest

from tests.guest.program import Program
from tests.soak import clients
from tests.soak.figures import Counters, Figure
from tests.soak.regions import Regions
from tests.soak.victims import Victim
from ubypass.abi import Abi, ExitReason, Translation
from ubypass.bench.workloads import build_program
from ubypass.device.client import SourceChanged
from ubypass.device.types import Event, Stats
from ubypass.device.uapi import EventType
from ubypass.errors import UbError

_SOURCE = Path(__file__).parent / "programs" / "pages.c"
_LOADS = 300
_ROOM = 50  # regions
_THREADS = 4


class _Enough(Exception):
    pass


class _Device:
    """Has little room, and forgets a region now and then."""

    def __init__(self) -> None:
        self.proc = 0
        self.loads = 0
        self.live: dict[int, set[int]] = {}
        self.wrong = 0
        self.dead: list[Event] = []

    def attach(self, pid: int, *, children: bool = False) -> int:
        if len(self.live) >= 3:
            raise UbError("busy") from OSError(errno.EBUSY, "busy")
        self.proc += 1
        self.live[self.proc] = set()
        return self.proc

    def detach(self, proc: int) -> None:
        self.live.pop(proc, None)

    def load(
        self, proc: int, made: Translation, replace: int = 0, *, trial_ns: int = 0
    ) -> int:
        self.loads += 1
        if self.loads > _LOADS:
            raise _Enough
        if self.loads % 7 == 0:
            raise SourceChanged
        if sum(map(len, self.live.values())) >= _ROOM:
            raise UbError("full") from OSError(errno.ENOSPC, "full")
        (source,) = made.sources
        self.wrong += source.data[:1] not in (b"\xb8", b"\0")
        self.live[proc].discard(replace)
        self.live[proc].add(self.loads)
        if self.loads % 5 == 0:
            self.dead.append(Event(EventType.DEAD, proc, region=self.loads))
        return self.loads

    def unload(self, proc: int, region: int) -> None:
        self.live[proc].discard(region)

    def regions(self, proc: int) -> set[int]:
        return set(self.live.get(proc, ()))

    def stats(self, proc: int) -> Stats:
        return Stats(dispatched=self.loads, exits={ExitReason.FAULT: proc})

    def events(self) -> list[Event]:
        dead, self.dead = self.dead, []
        return dead

    def counts(self, proc: int, region: int, exits: int) -> None:
        pass

    def sites(self, proc: int) -> None:
        pass

    def grant(self, proc: int, region: int, ns: int) -> None:
        pass

    confirm = grant

    def tune(self, what: int, value: int) -> None:
        pass


def test_what_a_client_does_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_program(_SOURCE, tmp_path / "pages", "-pthread")
    device, counters = _Device(), Counters()
    monkeypatch.setattr(clients, "Device", lambda: device)
    monkeypatch.setattr(clients, "_RESTS", 0.0)
    with Program("pages", str(_THREADS), "0", "1000", home=tmp_path) as program:
        deadline = time.monotonic() + 60
        while not program.is_warm and time.monotonic() < deadline:
            time.sleep(0.01)
        victims = [Victim(program.pid, _THREADS)]
        one = clients._Client(
            lambda: victims,
            Regions.of(Abi()),
            lambda figure, more: counters.add(0, figure, more),
        )
        with pytest.raises(_Enough):
            one.play(random.Random("a seed"))
    totals = counters.totals()
    assert totals[Figure.LOADED] > _LOADS / 2
    assert totals[Figure.CHANGED] > 0
    assert totals[Figure.UNLOADED] > 0
    assert totals[Figure.REPLACED] > 0
    assert totals[Figure.FULL] > 0
    assert totals[Figure.INVALIDATED] > 0
    assert totals[Figure.ATTACHED] >= totals[Figure.DETACHED] > 0
    assert totals[Figure.DISPATCHED] > 0
    assert totals[Figure.FAULTS] > 0
    # What it read were the loops of the process.
    assert device.wrong == 0


def test_a_process_that_has_ended_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    device, counters = _Device(), Counters()
    monkeypatch.setattr(clients, "Device", lambda: device)
    monkeypatch.setattr(clients, "_RESTS", 0.0)
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    asked = 0

    def victims() -> list[Victim]:
        nonlocal asked
        asked += 1
        if asked > 20:
            raise _Enough
        device.live.clear()
        return [Victim(pid, 1)]

    one = clients._Client(
        victims,
        Regions.of(Abi()),
        lambda figure, more: counters.add(0, figure, more),
    )
    with pytest.raises(_Enough):
        one.play(random.Random(1))
    assert counters.totals()[Figure.LOADED] == 0
