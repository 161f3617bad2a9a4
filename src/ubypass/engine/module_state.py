# SPDX-License-Identifier: GPL-2.0-only
"""The module's counters and findings for one process, as last read."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from ubypass.abi import SiteKey
from ubypass.device.client import Gone
from ubypass.device.types import Counts, Site, Stats
from ubypass.engine.group import Group
from ubypass.engine.ports import DeviceLike
from ubypass.errors import UbError

__all__ = ["ModuleState"]


class ModuleState:
    """The state of attachment ``proc``: ``stats``, and ``sites`` by identity."""

    def __init__(self, proc: int, device: DeviceLike) -> None:
        self.stats = Stats()
        self.sites: Mapping[SiteKey, Site] = {}
        self._proc = proc
        self._device = device

    def refresh_stats(self) -> Stats:
        """The newest counters; the last known ones once the process is gone."""
        with contextlib.suppress(Gone, UbError):
            self.stats = self._device.stats(self._proc)
        return self.stats

    def refresh_sites(self) -> Mapping[SiteKey, Site]:
        """The newest state of all sites; the last known one once it is gone."""
        with contextlib.suppress(Gone, UbError):
            self.sites = {site.key: site for site in self._device.sites(self._proc)}
        return self.sites

    def native_ns(self, key: SiteKey) -> int:
        """Native time of gaps from a site, in ns, as last read; 0: unknown."""
        site = self.sites.get(key)
        return site.native_ns if site else 0

    def counts(self, group: Group) -> Counts:
        """Counters of a live region; raises ``Gone`` if it just died."""
        exits = len(group.loaded.exits) if group.loaded else 0
        return self._device.counts(self._proc, group.region, exits)
