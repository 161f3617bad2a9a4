# SPDX-License-Identifier: GPL-2.0-only
"""Whether a site earns more than it costs, from the calls that the module counted.

What a gap saves and what a run costs on top, once, is told by :mod:`.prices`. Times are
ns. Pure arithmetic, no clock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from statistics import mean

from ubypass.device.types import Site
from ubypass.engine.prices import Prices

__all__ = ["Judgement", "Payoff"]

#: Times the strikes that condemn after which it no longer counts that a region grows.
_PATIENCE = 2


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is known of a site that is an entry.

    ``saving``: ns that each of its gaps saves; ``run``: ns that each run from here
    costs; ``gain``: ns that it saves in all, with ``calls`` dispatched in it on
    average. ``loses``: runs from here have
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
    run: float = 0.0


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

    ``runs``: runs the module must have looked at for a verdict; ``strikes``: bad looks
    in a row that condemn; ``slack``: share of the native cost by which a gap may be
    slower before it counts as slow.
    """

    prices: Prices
    runs: int = 4
    strikes: int = 2
    slack: float = 0.02
    _records: dict[int, _Record] = field(default_factory=dict)

    def forget(self, sites: Iterable[int]) -> None:
        """They run other code now: what was bad may be good."""
        for ip in sites:
            record = self._records.get(ip)
            if record is not None:
                record.losses = record.slow = 0

    @staticmethod
    def usual(
        judgements: Mapping[int, Judgement], entries: Iterable[int]
    ) -> tuple[float | None, float | None]:
        """ns that a gap saves and that a run costs, of ``entries`` the means; None
        where none of them was judged.
        """
        known = [judgements[ip] for ip in entries if ip in judgements]
        if not known:
            return None, None
        return mean(each.saving for each in known), mean(each.run for each in known)

    def look(
        self, sites: Mapping[int, Site], entries: Collection[int]
    ) -> list[Judgement]:
        """Judge those of ``entries`` (of one region) of which enough is known."""
        known = [sites[ip] for ip in entries if ip in sites]
        prices = self.prices
        savings = [prices.saving(site) for site in known if prices.is_sure(site)]
        usual = mean(savings) if savings else None
        found = (self._judge(site, usual) for site in known)
        return [judgement for judgement in found if judgement is not None]

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
        if record.calls is None or not self.prices.is_known(site):
            return None
        saving = self.prices.saving(site)
        rest = saving if usual is None else usual
        calls = record.calls
        gain = min(calls, 1.0) * saving + max(calls - 1.0, 0.0) * rest
        run = self.prices.run(site)
        gain -= run
        if enough:
            record.losses = record.losses + 1 if gain < 0 else 0
            slow = self._is_slow(site, saving)
            record.slow = record.slow + 1 if slow else 0
        return Judgement(
            site,
            saving,
            gain,
            calls,
            loses=record.losses >= self.strikes,
            keeps_losing=record.losses >= _PATIENCE * self.strikes,
            slow=record.slow >= self.strikes,
            run=run,
        )

    def _is_slow(self, site: Site, saving: float) -> bool:
        return self.prices.is_sure(site) and saving < -self.slack * site.native_ns
