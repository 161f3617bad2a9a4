# SPDX-License-Identifier: GPL-2.0-only
"""Whether a site earns more than it costs, from what the module has measured.

A gap in a translation saves the transition and costs what the translation is slower:
``native - boosted``. A run costs ``overhead`` on top, once. Times are ns; where the
machine counts instructions, 1 ns is one of them. Pure arithmetic, no clock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from statistics import mean

from ubypass.device.types import Site

__all__ = ["Judgement", "Payoff"]

#: The module times a run's overhead without the way to the clock and the look-ups
#: before it.
_UNSEEN = 1.25

#: What a gap seems to save and does not, as a share of a run's overhead: the time of
#: the dispatch itself is not in its boosted time, that of our own look at the clock is
#: in the native one. Found with redis' write, which seemed to save 40 instructions and
#: cost its server 60 to 80 more.
_UNTIMED = 0.5

#: A gap that has never been seen to its end in a translation is given the benefit of
#: the doubt: it may save this share of its native cost.
_DOUBT = 0.5

#: Times the strikes that condemn after which it no longer counts that a region grows.
_PATIENCE = 2


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is known of a site that is an entry.

    ``saving``: ns that each of its gaps saves; ``gain``: ns that each run from here
    saves in all, ``calls`` dispatched in it on average. ``loses``: runs from here have
    cost more than they saved often enough, ``keeps_losing``: and for longer than it
    takes a region to grow. ``slow``: so has the gap itself.
    """

    site: Site
    saving: float
    gain: float
    calls: float
    loses: bool
    keeps_losing: bool
    slow: bool


@dataclass(slots=True)
class _Record:
    runs: int = 0
    dispatched: int = 0
    calls: float | None = None
    losses: int = 0
    slow: int = 0


@dataclass(slots=True)
class Payoff:
    """Judges the entries of one process, look by look.

    ``runs``: runs the module must have looked at for a verdict; ``samples``: gaps
    timed each way; ``strikes``: bad looks in a row that condemn; ``slack``: share of
    the native cost by which a gap may be slower before it counts as slow.
    """

    runs: int = 4
    samples: int = 3
    strikes: int = 2
    slack: float = 0.02
    _records: dict[int, _Record] = field(default_factory=dict)

    def forget(self, sites: Iterable[int]) -> None:
        """They run other code now: what was bad may be good."""
        for ip in sites:
            record = self._records.get(ip)
            if record is not None:
                record.losses = record.slow = 0

    def look(
        self, sites: Mapping[int, Site], entries: Collection[int]
    ) -> list[Judgement]:
        """Judge those of ``entries`` (of one region) of which enough is known."""
        known = [sites[ip] for ip in entries if ip in sites]
        savings = [self._saving(site) for site in known if self._is_timed(site)]
        usual = mean(savings) if savings else None
        found = (self._judge(site, usual) for site in known)
        return [judgement for judgement in found if judgement is not None]

    def _is_timed(self, site: Site) -> bool:
        return min(site.native_samples, site.boosted_samples) >= self.samples

    def _saving(self, site: Site) -> float:
        if not site.boosted_samples:
            return _DOUBT * site.native_ns
        return site.native_ns - site.boosted_ns - _UNTIMED * site.overhead_ns

    def _judge(self, site: Site, usual: float | None) -> Judgement | None:
        record = self._records.setdefault(site.ip, _Record())
        runs = site.runs - record.runs
        if runs < 0:  # the module has begun anew with it
            record.runs = record.dispatched = 0
            runs = site.runs
        enough = runs >= self.runs
        if enough:
            record.calls = (site.dispatched - record.dispatched) / runs
            record.runs, record.dispatched = site.runs, site.dispatched
        if record.calls is None or site.native_samples < self.samples:
            return None
        saving = self._saving(site)
        rest = saving if usual is None else usual
        calls = record.calls
        gain = min(calls, 1.0) * saving + max(calls - 1.0, 0.0) * rest
        gain -= _UNSEEN * site.overhead_ns
        if enough:
            record.losses = record.losses + 1 if gain < 0 else 0
            slow = self._is_timed(site) and saving < -self.slack * site.native_ns
            record.slow = record.slow + 1 if slow else 0
        return Judgement(
            site,
            saving,
            gain,
            calls,
            loses=record.losses >= self.strikes,
            keeps_losing=record.losses >= _PATIENCE * self.strikes,
            slow=record.slow >= self.strikes,
        )
