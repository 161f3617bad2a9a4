# SPDX-License-Identifier: GPL-2.0-only
"""No losing workload costs more than its share, in any window."""

from __future__ import annotations

import math
import random

import pytest

from tests.engine.workload import Truth, Workload
from ubypass.engine.target import Policy
from ubypass.engine.trial import Trying

_SECONDS = 45.0
_WINDOW_NS = 10e9  # of CPU time, for it uses one processor
_BOUND = 0.001 * _WINDOW_NS


def _always(gain: float) -> Truth:
    return lambda now: gain


def _then(gain: float, at: float, later: float) -> Truth:
    return lambda now: gain if now < at else later


def _by_turns(gain: float, loss: float, period: float) -> Truth:
    return lambda now: gain if now % period < period / 2 else loss


def _wild(seed: int) -> Truth:
    """Another truth every few hundred milliseconds."""
    found: dict[int, float] = {}
    chance = random.Random(seed)

    def truth(now: float) -> float:
        at = int(now / 0.3)
        if at not in found:
            found[at] = chance.uniform(-0.3, 0.2)
        return found[at]

    return truth


@pytest.mark.parametrize("loss", [0.01, 0.1, 0.3, 1.0])
def test_what_loses_from_the_start(loss: float) -> None:
    workload = Workload([_always(-loss)])
    workload.run(_SECONDS)
    assert workload.module.loads, "it was not even tried"
    assert 0 < workload.worst() <= _BOUND / 2
    assert not workload.module.live


def test_a_hundred_sites_that_lose() -> None:
    workload = Workload([_always(-1.0)] * 100)
    workload.run(_SECONDS)
    assert len(workload.module.loads) > 20
    assert 0 < workload.worst() <= _BOUND


def test_what_gains_is_soon_left_alone() -> None:
    workload = Workload([_always(0.1)])
    workload.run(_SECONDS)
    assert len(workload.module.loads) == 1
    # A tenth of nearly all of the time.
    assert sum(workload.lost[1000:2000]) <= -0.8 * 0.1 * 1e9
    assert sum(workload.lost[-10_000:]) <= -0.99 * 0.1 * 10e9
    # And rarely asked about in the end.
    assert workload.module.confirmed[-1][1] == 500_000_000
    assert len(workload.module.confirmed) < 350


@pytest.mark.parametrize("loss", [0.02, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("gain", [0.01, 0.1])
@pytest.mark.parametrize("after", [0.15, 3.0, 25.0])
def test_what_gains_first_and_loses_later(
    loss: float, gain: float, after: float
) -> None:
    workload = Workload([_then(gain, after, -loss)])
    workload.run(_SECONDS)
    assert workload.uncovered() <= _BOUND
    if loss <= 0.03:
        assert workload.worst() <= _BOUND
    assert not workload.module.live


@pytest.mark.parametrize("period", [0.05, 0.4, 2.0, 30.0])
def test_what_alternates(period: float) -> None:
    workload = Workload([_by_turns(0.1, -0.15, period)])
    workload.run(_SECONDS)
    assert workload.uncovered() <= _BOUND


@pytest.mark.parametrize("seed", range(4))
def test_what_changes_all_the_time(seed: int) -> None:
    workload = Workload([_wild(seed), _wild(seed + 100), _always(-0.2)])
    workload.run(_SECONDS)
    assert workload.uncovered() <= _BOUND


@pytest.mark.parametrize("loss", [0.1, 1.0])
def test_an_engine_that_stands_still(loss: float) -> None:
    """From the moment of a load on, or of a lease: the module ends both by itself."""
    for begin in (0.01, 0.1, 1.0, 5.0):
        workload = Workload(
            [_then(0.05, begin, -loss), _always(-loss)],
            stalls=lambda now, begin=begin: begin <= now < begin + 30.0,
        )
        workload.run(_SECONDS)
        assert workload.uncovered() <= _BOUND


def test_a_larger_share_allows_more() -> None:
    """The bound is the policy's doing, not the simulation's."""
    trying = Trying(share=0.05, first=9e7, loan=2e7, look=2.0)
    policy = Policy(Workload([_always(0.0)]).policy.caps, trace=0.0, trying=trying)
    workload = Workload([_always(-1.0)] * 4, policy=policy)
    workload.run(_SECONDS)
    assert workload.worst() > 3 * _BOUND


def test_without_trials_it_costs_much_more() -> None:
    policy = Policy(Workload([_always(0.0)]).policy.caps, trace=0.0, trying=None)
    workload = Workload([_then(0.1, 20.0, -0.3)], policy=policy)
    workload.module.leases = dict.fromkeys(range(1000), math.inf)
    workload.run(_SECONDS)
    assert workload.worst() > 5 * _BOUND
