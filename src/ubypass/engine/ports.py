# SPDX-License-Identifier: GPL-2.0-only
"""What the engine needs from outside, so that tests can play these parts.

``Device`` of ``ubypass.device.client``, ``ProcessMemory`` and ``Sampler`` of
``ubypass.process`` are the real ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ubypass.abi import Abi, Translation
from ubypass.device.types import Counts, Event, Lease, Path, Site, Stats, Trial
from ubypass.process.maps import MemoryMap

__all__ = ["DeviceLike", "MemoryLike", "SamplerLike"]


class DeviceLike(Protocol):
    """The calls of ``Device`` that the engine uses, with the same errors."""

    def fileno(self) -> int: ...

    def info(self) -> Abi: ...

    def attach(self, pid: int, *, children: bool = False) -> int: ...

    def detach(self, proc: int) -> None: ...

    def load(
        self,
        proc: int,
        translation: Translation,
        replace: int = 0,
        *,
        trial_ns: int = 0,
    ) -> int: ...

    def trial(self, proc: int, region: int) -> Trial: ...

    def grant(self, proc: int, region: int, ns: int) -> Trial: ...

    def confirm(self, proc: int, region: int, lease: Lease | None = None) -> Trial: ...

    def cpu_ns(self, proc: int) -> int: ...

    def unload(self, proc: int, region: int) -> None: ...

    def stats(self, proc: int) -> Stats: ...

    def regions(self, proc: int) -> set[int]: ...

    def path(self, proc: int) -> Path | None: ...

    def sites(self, proc: int) -> list[Site]: ...

    def counts(self, proc: int, region: int, nr_exits: int) -> Counts: ...

    def events(self) -> list[Event]: ...


class MemoryLike(Protocol):
    """The reads of ``ProcessMemory`` that the engine uses."""

    @property
    def pid(self) -> int: ...

    @property
    def maps(self) -> MemoryMap: ...

    def refresh(self) -> None: ...

    def close(self) -> None: ...

    def is_code(self, address: int) -> bool: ...

    def read(self, address: int, size: int) -> bytes: ...

    def read_data(self, address: int, size: int) -> bytes: ...


class SamplerLike(Protocol):
    """What the engine uses of a ``Sampler``."""

    def take(self) -> Mapping[int, int]: ...

    def close(self) -> None: ...
