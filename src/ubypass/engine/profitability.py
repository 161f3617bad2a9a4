# SPDX-License-Identifier: GPL-2.0-only
"""Whether runs from a site gain more than they cost, by the counters of the module.

:mod:`.prices` tells what a gap saves, and what a run costs once. Times are ns. Pure
arithmetic, no clock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from statistics import fmean, mean

from ubypass.abi import SiteKey
from ubypass.device.types import Site
from ubypass.engine.prices import Prices

__all__ = ["Judgement", "Profitability"]

#: The multiple of ``strikes`` after which no growth of the region is waited for.
_PATIENCE = 2


@dataclass(frozen=True, slots=True)
class Judgement:
    """The profitability of one entry.

    ``saving``: ns that each of its gaps saves; ``run``: ns that each run from the entry
    costs; ``calls``: mean number of calls dispatched in a recent run; ``gain``: mean ns
    that a run saves, its cost deducted. ``loses``: ``gain`` was negative at enough
    looks in a row; ``keeps_losing``: for longer than a region takes to grow; ``slow``:
    the gap itself was slower in the translation at as many looks in a row.
    ``recent_runs``: number of runs, of which those of earlier looks count less.
    """

    site: Site
    saving: float
    gain: float
    calls: float
    loses: bool
    keeps_losing: bool
    slow: bool
    run: float = 0.0
    recent_runs: float = 1.0


#: The least number of recent runs, not 0: of an entry that never runs again, or of one
#: with which the module has begun anew.
_FEW_RUNS = 1e-6


@dataclass(slots=True)
class _Record:
    """``recent_runs`` and ``recent_calls``: sums over the looks, each with half the
    weight of the next one.
    """

    runs: int = 0
    dispatched: int = 0
    recent_runs: float = 0.0
    recent_calls: float = 0.0
    calls: float | None = None
    losses: int = 0
    slow: int = 0


@dataclass(slots=True)
class Profitability:
    """Judges the entries of one process, at each look at the counters.

    ``runs``: new runs that a judgement needs; ``strikes``: number of bad looks in a row
    after which an entry counts as losing; ``slack``: share of the native time by which
    a gap may be slower before it counts as slow.
    """

    prices: Prices
    runs: int = 4
    strikes: int = 2
    slack: float = 0.02
    _records: dict[SiteKey, _Record] = field(default_factory=dict)

    def reset(self, sites: Iterable[SiteKey]) -> None:
        """Forget the bad looks at ``sites``: their behaviour has changed."""
        for key in sites:
            record = self._records.get(key)
            if record is not None:
                record.losses = record.slow = 0

    @staticmethod
    def mean_prices(
        judgements: Mapping[SiteKey, Judgement], entries: Iterable[SiteKey]
    ) -> tuple[float | None, float | None]:
        """Mean ns that a dispatched call of ``entries`` saves, and that a run costs.

        Of recent runs. None if none of the entries was judged.
        """
        known = [judgements[key] for key in entries if key in judgements]
        if not known:
            return None, None
        runs = [each.recent_runs for each in known]
        cost = fmean((each.run for each in known), runs)
        saved = fmean((each.gain + each.run for each in known), runs)
        calls = fmean((each.calls for each in known), runs)
        return saved / calls if calls else 0.0, cost

    def judge(
        self, sites: Mapping[SiteKey, Site], entries: Collection[SiteKey]
    ) -> list[Judgement]:
        """Judge those of ``entries`` (of one region) that have enough measurements."""
        known = [sites[key] for key in entries if key in sites]
        prices = self.prices
        savings = [prices.saving(site) for site in known if prices.is_sure(site)]
        usual = mean(savings) if savings else None
        found = (self._judge_site(site, usual) for site in known)
        return [judgement for judgement in found if judgement is not None]

    def _judge_site(self, site: Site, usual: float | None) -> Judgement | None:
        record = self._records.setdefault(site.key, _Record())
        runs = site.runs - record.runs
        if runs < 0:  # the module has begun anew with it
            record.runs = record.dispatched = 0
            record.recent_runs = record.recent_calls = 0.0
            runs = site.runs
        enough = runs >= self.runs
        if enough:
            # A few unusual runs, for example while connections end, must not decide.
            dispatched = site.dispatched - record.dispatched
            record.recent_runs = record.recent_runs / 2 + runs
            record.recent_calls = record.recent_calls / 2 + dispatched
            record.calls = record.recent_calls / record.recent_runs
            record.runs, record.dispatched = site.runs, site.dispatched
        elif not runs:
            # It counts less beside entries that do run.
            record.recent_runs /= 2
            record.recent_calls /= 2
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
            recent_runs=max(record.recent_runs, _FEW_RUNS),
        )

    def _is_slow(self, site: Site, saving: float) -> bool:
        return self.prices.is_sure(site) and saving < -self.slack * site.native_ns
