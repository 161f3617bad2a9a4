# SPDX-License-Identifier: GPL-2.0-only
"""Interfaces of the engine's external dependencies, so that tests can replace them.

Implemented by ``Device`` of ``ubypass.device.client``, by ``ProcessMemory`` and
``Sampler`` of ``ubypass.process``, and by ``SharedTranslations`` of ``ubypass.store``.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from ubypass.abi import Abi, Translation
from ubypass.device.types import Counts, Event, Lease, Path, Site, Stats, Trial
from ubypass.process.maps import MemoryMap

if TYPE_CHECKING:
    from ubypass.region.graph import Region
    from ubypass.region.reader import CodeReader

__all__ = ["DeviceLike", "MemoryLike", "SamplerLike", "SharedLike"]


class DeviceLike(Protocol):
    """The calls of ``Device`` that the engine uses, with the same errors."""

    def fileno(self) -> int: ...

    def info(self) -> Abi: ...

    def attach(
        self, pid: int, *, children: bool = False, trusted: bool = False
    ) -> int: ...

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

    @property
    def is_silent(self) -> bool: ...

    def refresh(self) -> None: ...

    def close(self) -> None: ...

    def is_code(self, address: int) -> bool: ...

    def read(self, address: int, size: int) -> bytes: ...

    def read_data(self, address: int, size: int) -> bytes: ...


class SamplerLike(Protocol):
    """The calls of ``Sampler`` that the engine uses."""

    def take(self) -> Mapping[int, int]: ...

    def close(self) -> None: ...


class SharedLike(Protocol):
    """The calls of ``SharedTranslations`` that the engine uses."""

    def exclusive(self) -> AbstractContextManager[object]: ...

    def find(
        self, region: Region, reader: CodeReader
    ) -> tuple[Translation | None, float]: ...

    def refuse(self, region: Region, reason: str) -> None: ...

    def offer(self, region: Region, *, careful: bool) -> None: ...
