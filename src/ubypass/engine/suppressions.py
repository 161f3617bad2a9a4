# SPDX-License-Identifier: GPL-2.0-only
"""Sites that are not boosted for a reason, and when to try them again.

Each suppression of a site lasts longer than the one before. The last one lasts until
the behaviour of the site changes, that is, until its native gap takes another time.
Times are seconds and come in as arguments.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ubypass.abi import SiteKey

__all__ = ["Suppression", "Suppressions"]


@dataclass(slots=True)
class Suppression:
    """Why one site is not boosted.

    ``reason`` is for people; ``native_ns`` is the native time of the gap at that time.
    ``barrier``: the gap itself loses, so no region may contain it; otherwise only an
    entry there does not pay. ``long``: the gap was never translated, because its time
    is over the limit. ``by_path``: a single traced path decided, by the cost model.
    ``until``: when it ends (seconds); None: when the behaviour changes. ``count``:
    suppressions of the site, this one included. ``active``: False once the site may be
    tried again.
    """

    reason: str
    native_ns: int
    barrier: bool
    until: float | None
    long: bool = False
    by_path: bool = False
    count: int = 1
    active: bool = True


@dataclass(slots=True)
class Suppressions:
    """The suppressions of one process, by site.

    ``patience``: seconds of the first suppression of a site; ``growth``: the factor for
    each later one; ``limit``: the number of suppressions after which only a change of
    behaviour ends one; ``change``: the factor by which the time of a gap must differ to
    count as a change of behaviour.
    """

    patience: float = 30.0
    growth: float = 8.0
    limit: int = 2
    change: float = 2.0
    _by_site: dict[SiteKey, Suppression] = field(default_factory=dict)

    def suppress(
        self, site: SiteKey, reason: str, native_ns: int, now: float, barrier: bool
    ) -> None:
        """Suppress the site from ``now`` on.

        A barrier stays until the behaviour changes: the gap was measured both ways.
        """
        count = self._next_count(site)
        until = None
        if count < self.limit and not barrier:
            until = now + self.patience * self.growth ** (count - 1)
        self._by_site[site] = Suppression(
            reason, native_ns, barrier, until, count=count
        )

    def suppress_long(self, site: SiteKey, native_ns: int, objection: str = "") -> None:
        """Make a site whose gap is too long a barrier.

        ``objection``: the cost model's objection to the traced instructions. Then a
        verdict of the module, which is based on the gap's time only, does not end the
        suppression.
        """
        reason = objection or f"its gap of {native_ns:,} ns is too long"
        self._by_site[site] = Suppression(
            reason,
            native_ns,
            barrier=True,
            until=None,
            long=not objection,
            by_path=bool(objection),
            count=self._next_count(site),
        )

    def inherit(
        self, site: SiteKey, native_ns: int, other: Suppression, now: float
    ) -> bool:
        """Suppress a site as in another process (``other``); whether it was suppressed.

        Not if it was ever suppressed here, or if its gap, of ``native_ns``, takes
        another time here.
        """
        if site in self._by_site or self._is_other(native_ns, other.native_ns):
            return False
        if other.long:
            self.suppress_long(site, native_ns)
        else:
            self.suppress(site, other.reason, native_ns, now, other.barrier)
        return True

    def lift(self, site: SiteKey) -> None:
        """End the suppression of the site, if there is one."""
        suppression = self.get(site)
        if suppression is not None:
            suppression.active = False

    def lift_first_path(self, site: SiteKey) -> bool:
        """Lift the suppression by the first traced path, as another one was admitted.

        Whether it was lifted; not a second time, since such a site alternates.
        """
        suppression = self.get(site)
        if suppression is None or not suppression.by_path:
            return False
        if suppression.count >= self.limit:
            return False
        suppression.active = False
        return True

    def get(self, site: SiteKey) -> Suppression | None:
        """The active suppression of the site, if any."""
        suppression = self._by_site.get(site)
        return suppression if suppression is not None and suppression.active else None

    def barriers(self) -> set[SiteKey]:
        """Sites whose gaps no region may contain."""
        return {site for site, suppression in self._active() if suppression.barrier}

    def disabled_entries(self) -> set[SiteKey]:
        """Sites at which no region may be entered; includes all barriers."""
        return {site for site, _ in self._active()}

    def review(
        self, site: SiteKey, native_ns: int, now: float, *, hot: bool = False
    ) -> bool:
        """End the suppression of the site if it is due; whether it was.

        ``native_ns``: time of its gap now; ``hot``: the module finds its gaps short
        enough.
        """
        suppression = self.get(site)
        if suppression is None:
            return False
        changed = self._is_other(native_ns, suppression.native_ns)
        if changed:
            suppression.count = 0
        shorter = hot and suppression.long and suppression.count < self.limit
        over = suppression.until is not None and now >= suppression.until
        if changed or shorter or over:
            suppression.active = False
            return True
        return False

    def _next_count(self, site: SiteKey) -> int:
        last = self._by_site.get(site)
        return last.count + 1 if last else 1

    def _is_other(self, native_ns: int, before: int) -> bool:
        before = max(before, 1)
        return native_ns > before * self.change or native_ns * self.change < before

    def _active(self) -> Iterator[tuple[SiteKey, Suppression]]:
        return ((site, each) for site, each in self._by_site.items() if each.active)
