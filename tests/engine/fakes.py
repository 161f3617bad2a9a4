# SPDX-License-Identifier: GPL-2.0-only
"""A device and a memory in this process, for tests of the engine."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ubypass.abi import Abi, Translation
from ubypass.device.client import Gone, SourceChanged
from ubypass.device.types import Counts, Event, Lease, Path, Site, Stats, Trial
from ubypass.device.uapi import TrialState
from ubypass.process.maps import MemoryMap


@dataclass
class Loaded:
    """One accepted load."""

    proc: int
    translation: Translation
    replace: int


class FakeDevice:
    """Plays the module: hands out events, keeps what is loaded."""

    def __init__(self, abi: Abi | None = None) -> None:
        self.abi = abi or Abi()
        self.loads: list[Loaded] = []
        self.live: dict[int, Translation] = {}
        self.unloaded: list[int] = []
        self.attached: dict[int, int] = {}
        self.detached: list[int] = []
        self.observed: set[int] = set()  # attachments whose counters were requested
        self.followed: set[int] = set()
        self.trusted: set[int] = set()
        self.refuse_loads: deque[Exception | None] = deque()
        self.counters = Stats()
        self.known_sites: list[Site] = []
        self.paths: deque[Path] = deque()
        self.gone = False
        self.misses = 0  # by which each exit's counter grows from look to look
        self.dispatched = 1000  # alike
        self.looks = 0
        self.trials: dict[int, Trial] = {}
        self.confirmed: list[tuple[int, Lease | None]] = []  # region
        self.cpu = 0  # ns
        self._events: deque[Event] = deque()
        self._read, self._write = os.pipe()
        self._next_region = 1

    def close(self) -> None:
        os.close(self._read)
        os.close(self._write)

    def fileno(self) -> int:
        return self._read

    def send(self, *events: Event) -> None:
        """Queue events and make the device readable."""
        self._events.extend(events)
        os.write(self._write, b"e")

    def info(self) -> Abi:
        return self.abi

    def attach(self, pid: int, *, children: bool = False, trusted: bool = False) -> int:
        if children:
            self.followed.add(pid)
        if trusted:
            self.trusted.add(pid)
        proc = len(self.attached) + 1
        self.attached[proc] = pid
        return proc

    def detach(self, proc: int) -> None:
        self.detached.append(proc)
        self.live.clear()

    def load(
        self,
        proc: int,
        translation: Translation,
        replace: int = 0,
        *,
        trial_ns: int = 0,
    ) -> int:
        if self.gone:
            raise Gone
        if self.refuse_loads:
            error = self.refuse_loads.popleft()
            if error is not None:
                raise error
        assert not replace or replace in self.live, "replaces what is not live"
        self.loads.append(Loaded(proc, translation, replace))
        self.live.pop(replace, None)
        self.trials.pop(replace, None)
        region = self._next_region
        self._next_region += 1
        self.live[region] = translation
        state = TrialState.ON if trial_ns else TrialState.NONE
        self.trials[region] = Trial(state, trial_ns)
        return region

    def trial(self, proc: int, region: int) -> Trial:
        if region not in self.trials:  # dead ones are there until they are unloaded
            raise Gone
        return self.trials[region]

    def grant(self, proc: int, region: int, ns: int) -> Trial:
        before = self.trial(proc, region)
        left = before.left_ns + ns
        state = TrialState.ON if left > 0 else TrialState.OVER
        self.trials[region] = replace(before, state=state, left_ns=left)
        return before

    def confirm(self, proc: int, region: int, lease: Lease | None = None) -> Trial:
        before = self.trial(proc, region)
        self.trials[region] = replace(before, state=TrialState.NONE, left_ns=0)
        self.confirmed.append((region, lease))
        return before

    def cpu_ns(self, proc: int) -> int:
        if self.gone:
            raise Gone
        return self.cpu

    def unload(self, proc: int, region: int) -> None:
        self.unloaded.append(region)
        self.trials.pop(region, None)
        self.live.pop(region, None)

    def stats(self, proc: int) -> Stats:
        if self.gone:
            raise Gone
        self.observed.add(proc)
        return self.counters

    def regions(self, proc: int) -> set[int]:
        if self.gone:
            raise Gone
        return set(self.live)

    def path(self, proc: int) -> Path | None:
        if self.gone:
            raise Gone
        return self.paths.popleft() if self.paths else None

    def sites(self, proc: int) -> list[Site]:
        if self.gone:
            raise Gone
        return list(self.known_sites)

    def counts(self, proc: int, region: int, nr_exits: int) -> Counts:
        if region not in self.live:
            raise Gone
        self.looks += 1
        return Counts(
            tuple(number + self.misses * self.looks for number in range(nr_exits)),
            self.dispatched * self.looks,
            10,
        )

    def events(self) -> list[Event]:
        os.read(self._read, 64)
        events = list(self._events)
        self._events.clear()
        return events


@dataclass
class FakeMemory:
    """Bytes at addresses; everything in ``code`` counts as code."""

    code: dict[int, bytes] = field(default_factory=dict)
    data: Mapping[int, bytes] = field(default_factory=dict)
    pid: int = 0
    maps: MemoryMap = field(default_factory=lambda: MemoryMap(()))
    refreshed: int = 0
    closed: bool = False
    is_silent: bool = False

    def refresh(self) -> None:
        self.refreshed += 1

    def close(self) -> None:
        self.closed = True

    def is_code(self, address: int) -> bool:
        return bool(self.read(address, 1))

    def read(self, address: int, size: int) -> bytes:
        return _read(self.code, address, size)

    def read_data(self, address: int, size: int) -> bytes:
        return _read(self.data, address, size) or self.read(address, size)


def _read(memory: Mapping[int, bytes], address: int, size: int) -> bytes:
    for start, content in memory.items():
        if start <= address < start + len(content):
            return content[address - start : address - start + size]
    return b""


__all__ = ["FakeDevice", "FakeMemory", "Loaded", "SourceChanged"]
