# SPDX-License-Identifier: GPL-2.0-only
"""The saving of runs along chains of gaps: pure arithmetic.

A run begins behind a hooked call, continues through dispatched gaps, and ends at a gap
that is not dispatched or a call that had to wait. Entry and exit are paid once. As in
the engine, a gap without a gain stays native, and so does a site whose runs lose time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ubypass.abi import SiteKey
from ubypass.estimate.offline import Kind
from ubypass.estimate.trace import Chain, Passed

__all__ = ["Runs", "kind_of", "runs"]


@dataclass(slots=True)
class Runs:
    """``saved``: ns by kind of gap; ``runs`` and ``dispatched`` gaps: their numbers.

    The cost of a run is divided equally among its gaps.
    """

    saved: dict[Kind, float] = field(default_factory=dict)
    runs: int = 0
    dispatched: int = 0

    @property
    def total(self) -> float:
        """ns saved by all gaps."""
        return sum(self.saved.values())


def kind_of(passed: Passed) -> Kind:
    """The kind of a gap."""
    return Kind(passed.resume, passed.nr, passed.following)


def runs(
    chains: Sequence[Chain],
    savings: Mapping[Kind, float],
    run_ns: float,
    hooked: Collection[int],
) -> Runs:
    """The runs of ``chains`` if a gap of each kind saves ``savings`` ns.

    Gaps of other kinds are not dispatched. ``run_ns``: cost of a run. ``hooked``:
    numbers of calls that can be dispatched.
    """
    good = {kind: ns for kind, ns in savings.items() if ns > 0}
    closed: set[SiteKey] = set()
    while True:
        found = list(_split(chains, good, hooked, closed))
        gains: dict[SiteKey, float] = defaultdict(float)
        for run in found:
            gains[run[0].site] += sum(good[kind] for kind in run) - run_ns
        losing = {site for site, gain in gains.items() if gain <= 0}
        if not losing:
            return _summed(found, good, run_ns)
        closed |= losing


def _split(
    chains: Iterable[Chain],
    good: Mapping[Kind, float],
    hooked: Collection[int],
    closed: Collection[SiteKey],
) -> Iterable[list[Kind]]:
    """The runs, by the kinds of their gaps."""
    for chain in chains:
        run: list[Kind] = []
        for passed in chain:
            kind = kind_of(passed)
            if run and (passed.slept or kind not in good):
                yield run
                run = []
            if kind not in good or passed.call not in hooked:
                if run:
                    yield run
                    run = []
                continue
            if run or (passed.nr in hooked and kind.site not in closed):
                run.append(kind)
        if run:
            yield run


def _summed(
    found: Sequence[list[Kind]], good: Mapping[Kind, float], run_ns: float
) -> Runs:
    total = Runs()
    for run in found:
        total.runs += 1
        total.dispatched += len(run)
        for kind in run:
            share = good[kind] - run_ns / len(run)
            total.saved[kind] = total.saved.get(kind, 0.0) + share
    return total
