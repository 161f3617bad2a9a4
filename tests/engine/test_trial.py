# SPDX-License-Identifier: GPL-2.0-only
"""No losing workload costs more than its share, in any window."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.engine.fakes import FakeDevice
from tests.engine.samples import sites
from tests.engine.workload import Truth, Workload
from ubypass.abi import Entry, Exit, ExitReason, SiteKey, Source, Translation
from ubypass.cost.model import model_of
from ubypass.device.types import Lease, Site, Trial
from ubypass.device.uapi import SiteVerdict, TrialState
from ubypass.engine.built import Built
from ubypass.engine.group import Group
from ubypass.engine.policy import Policy
from ubypass.engine.prices import Measured
from ubypass.engine.trial import Finding, TrialPolicy, Trials, Verdict, strict
from ubypass.region.graph import Region

_SECONDS = 45.0
_WINDOW_NS = 10e9  # of CPU time, for it uses one processor
_BOUND = 0.001 * _WINDOW_NS

_LOADED = Translation(
    code=b"code",
    entries=(Entry(0x1002, 0, 39),),
    exits=(Exit(0x1000, ExitReason.FRONTIER),),
    faults=(),
    dispatches=(),
    jumps=(),
    sources=(Source(0x1000, b"\x0f\x05"),),
    constants=0,
)


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
    lease = workload.module.confirmed[-1][1]
    assert lease is not None
    assert lease.ns > 0.9e9 * TrialPolicy().longest
    assert len(workload.module.confirmed) < 50


def _covered(loss: float) -> float:
    """A loss above what leases reckon with may cost as many times as much, once."""
    return _BOUND * max(1.0, loss / TrialPolicy().loss)


@pytest.mark.parametrize("loss", [0.02, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("gain", [0.01, 0.1])
@pytest.mark.parametrize("after", [0.15, 3.0, 25.0])
def test_what_gains_first_and_loses_later(
    loss: float, gain: float, after: float
) -> None:
    workload = Workload([_then(gain, after, -loss)])
    workload.run(_SECONDS)
    assert workload.uncovered() <= _covered(loss)
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
        assert workload.uncovered() <= _covered(loss)


def test_a_larger_share_allows_more() -> None:
    """The bound is the policy's doing, not the simulation's."""
    trying = TrialPolicy(share=0.05, first=9e7, loan=2e7, look=2.0)
    policy = Policy(
        Workload([_always(0.0)]).policy.caps, trace_timeout=0.0, trial=trying
    )
    workload = Workload([_always(-1.0)] * 4, policy=policy)
    workload.run(_SECONDS)
    assert workload.worst() > 3 * _BOUND


def test_without_trials_it_costs_much_more() -> None:
    policy = Policy(Workload([_always(0.0)]).policy.caps, trace_timeout=0.0, trial=None)
    workload = Workload([_then(0.1, 20.0, -0.3)], policy=policy)
    workload.run(_SECONDS)
    assert workload.worst() > 5 * _BOUND


# ---- one region, step by step -----------------------------------------------------


class _Bench:
    """Trials of one group, whose measurements are whatever the test says."""

    def __init__(self, trying: TrialPolicy | None = None) -> None:
        self.device = FakeDevice()
        self.trials = Trials(1, self.device, Measured(model_of("zen4")), trying)
        self.now = 10.0
        self.group = Group(sites(0x1002))
        self.trials.set_time(self.now)

    def load(self, loaded: Translation = _LOADED) -> None:
        entries = [entry.key for entry in loaded.entries]
        permit = self.trials.admit(entries, self.group.region)
        assert permit
        spent = self.trials.spent(self.group.region)
        region = self.device.load(
            1, loaded, self.group.region, trial_ns=self.trials.credit(permit)
        )
        self.trials.on_unload(self.group.region, spent)
        self.trials.loaded(region, permit)
        self.group.set_live(region, Built(Region({}, (), ()), loaded), loaded)

    def spend(self, ns: int, runs: int = 5) -> None:
        """The module charges so much, and says so if nothing is left."""
        region = self.group.region
        before = self.device.trials[region]
        left = before.left_ns - ns
        self.device.trials[region] = replace(
            before,
            state=TrialState.ON if left > 0 else TrialState.OVER,
            left_ns=left,
            spent_ns=before.spent_ns + ns,
            runs=before.runs + runs,
        )
        if left <= 0:
            self.trials.on_end(region, self.now)

    def measured(self, boosted_ns: int, samples: int = 3) -> None:
        self.device.known_sites = [
            Site(
                0x1002,
                39,
                SiteVerdict.ENTRY,
                native_ns=1000,
                boosted_ns=boosted_ns,
                overhead_ns=100,
                native_samples=samples,
                boosted_samples=samples,
                runs=samples,
                dispatched=samples * 20,
            )
        ]

    def look(self, after: float = 0.0, *, lends: bool = True) -> list[Finding]:
        self.now += after
        sites = {site.key: site for site in self.device.known_sites}
        return self.trials.poll(self.now, [self.group], lambda: sites, lends=lends)

    @property
    def state(self) -> TrialState:
        return self.device.trials[self.group.region].state


@pytest.fixture
def bench() -> Iterator[_Bench]:
    bench = _Bench()
    yield bench
    bench.device.close()


def test_what_gains_is_confirmed_and_its_loan_given_back(bench: _Bench) -> None:
    before = bench.trials.budget.left(bench.now)
    bench.load()
    assert bench.state is TrialState.ON
    assert bench.trials.budget.left(bench.now) == before - 320_000
    bench.spend(100_000, runs=5)
    bench.measured(800)
    (found,) = bench.look(0.02)
    assert found.verdict is Verdict.GAINS
    assert bench.state is TrialState.NONE
    # Only what its looks took is booked: five times its slowest gap.
    assert bench.trials.budget.left(bench.now) == before - 5 * 800


def test_what_loses_is_found_out_at_once_and_paid_for(bench: _Bench) -> None:
    before = bench.trials.budget.left(bench.now)
    bench.load()
    bench.spend(100_000)
    bench.measured(1200)
    (found,) = bench.look(0.02)
    assert found.verdict is Verdict.LOSES
    assert [judged.site.ip for judged in found.judged] == [0x1002]
    assert bench.state is not TrialState.NONE
    assert bench.trials.budget.left(bench.now) == before - 100_000
    assert not bench.look(1.0)


def test_nobody_is_confirmed_whose_gap_was_not_timed(bench: _Bench) -> None:
    bench.load()
    bench.spend(100_000)
    bench.measured(0, samples=2)
    assert not bench.look(0.02)
    assert bench.state is TrialState.ON
    bench.measured(1200)
    (found,) = bench.look(0.03)
    assert found.verdict is Verdict.LOSES


def test_the_end_of_a_credit_is_a_reason_to_look(bench: _Bench) -> None:
    bench.load()
    assert bench.trials.due == pytest.approx(bench.now + 0.02)
    bench.spend(400_000)
    assert bench.trials.due == bench.now


def test_more_is_lent_until_there_is_a_verdict(bench: _Bench) -> None:
    bench.load()
    bench.spend(310_000)
    assert not bench.look()
    # What the last run went over its credit is granted on top, and was booked.
    assert bench.state is TrialState.ON
    assert bench.device.trials[bench.group.region].left_ns == 300_000
    bench.spend(300_000)
    bench.measured(800)
    (found,) = bench.look(0.001)
    assert found.verdict is Verdict.GAINS


def test_nothing_is_lent_that_is_not_there(bench: _Bench) -> None:
    bench.load()
    for _ in range(3):
        bench.spend(350_000)
        assert not bench.look(0.001)
    assert bench.state is TrialState.OVER
    assert bench.trials.ready > bench.now
    assert bench.trials.admit(sites(0x1002)) is None
    # It goes on once the process has used more.
    bench.device.cpu = 5_000_000_000
    bench.look(2.0)
    assert bench.state is TrialState.ON


def test_while_a_build_is_due_nothing_more_is_lent(bench: _Bench) -> None:
    bench.load()
    bench.spend(300_000)
    left = bench.trials.budget.left(bench.now)
    assert not bench.look(lends=False)
    assert bench.state is TrialState.OVER
    assert bench.trials.is_on_trial(bench.group.region)
    assert bench.trials.budget.left(bench.now) == left + 20_000
    assert not bench.look(0.5)
    assert bench.state is TrialState.ON


@pytest.mark.parametrize("spent", [100_000, 300_000])
def test_one_that_is_to_be_replaced_books_the_rest_of_its_credit(
    bench: _Bench, spent: int
) -> None:
    before = bench.trials.budget.left(bench.now)
    bench.load()
    bench.spend(spent)
    bench.measured(1200)
    (found,) = bench.look(0.02)
    assert found.verdict is Verdict.LOSES
    for _ in range(3):
        bench.trials.postpone(bench.group.region, bench.now)
        assert bench.trials.budget.left(bench.now) == before - 300_000
        assert not bench.look(1.0, lends=False)


def test_a_trial_that_tells_nothing_ends() -> None:
    bench = _Bench(TrialPolicy(share=math.inf, loans=3))
    bench.load()
    found: list[Finding] = []
    for _ in range(3):
        bench.spend(300_000)
        found += bench.look(0.001)
    assert [each.verdict for each in found] == [Verdict.UNKNOWN]
    bench.device.close()


def test_one_in_the_place_of_a_confirmed_one_is_tried_by_its_lease(
    bench: _Bench,
) -> None:
    bench.load()
    bench.spend(100_000)
    bench.measured(800)
    bench.look(0.02)
    left = bench.trials.budget.left(bench.now)
    bench.load()
    assert bench.state is TrialState.NONE
    first, second = bench.device.confirmed
    assert first[0] != second[0]
    assert first[1] == second[1]
    assert bench.trials.budget.left(bench.now) == left


def test_one_with_more_entries_is_tried_anew(bench: _Bench) -> None:
    bench.load()
    bench.spend(100_000)
    bench.measured(800)
    bench.look(0.02)
    bench.load(replace(_LOADED, entries=(Entry(0x1002, 0, 39), Entry(0x1022, 4, 39))))
    assert bench.state is TrialState.ON
    bench.spend(100_000)
    bench.measured(1300)
    (found,) = bench.look(0.02)
    assert found.verdict is Verdict.LOSES


def test_one_that_is_dropped_is_settled(bench: _Bench) -> None:
    before = bench.trials.budget.left(bench.now)
    bench.load()
    bench.spend(70_000)
    bench.trials.on_unload(bench.group.region)
    assert bench.trials.budget.left(bench.now) == before - 70_000
    # One that has gone without a word has taken all.
    bench.load()
    bench.device.trials.clear()
    bench.trials.on_unload(bench.group.region)
    assert bench.trials.budget.left(bench.now) == before - 70_000 - 320_000


def test_a_load_that_fails_costs_nothing(bench: _Bench) -> None:
    before = bench.trials.budget.left(bench.now)
    permit = bench.trials.admit(sites(0x1002))
    assert permit
    assert bench.trials.budget.left(bench.now) < before
    bench.trials.refund(permit)
    assert bench.trials.budget.left(bench.now) == before


def _confirmed(bench: _Bench) -> Lease:
    bench.load()
    bench.spend(100_000)
    bench.measured(800)
    bench.look(0.02)
    lease = bench.device.confirmed[-1][1]
    assert lease is not None
    return lease


def test_the_module_is_told_what_calls_save_and_runs_cost(bench: _Bench) -> None:
    prices = Measured(model_of("zen4"))
    lease = _confirmed(bench)
    site = bench.device.known_sites[0]
    assert lease.timed
    assert lease.saving == pytest.approx(prices.saving(site))
    assert lease.run == pytest.approx(prices.run(site))
    assert lease.ns == 50_000_000
    assert bench.trials.due == math.inf


def test_what_gains_more_gets_a_longer_lease(bench: _Bench) -> None:
    _confirmed(bench)
    judged = strict(Measured(model_of("zen4"))).judge(
        {site.key: site for site in bench.device.known_sites}, [SiteKey(0x1002, 39)]
    )
    assert judged
    bench.device.dispatched = 10_000_000
    bench.now += 1.0
    bench.trials.set_time(bench.now)
    bench.trials.on_judged(bench.group, judged)
    assert len(bench.device.confirmed) == 2
    lease = bench.device.confirmed[-1][1]
    assert lease is not None
    assert lease.ns == 1e9 * TrialPolicy().longest
    # Nothing new: the module goes on by itself.
    bench.trials.on_judged(bench.group, judged)
    assert len(bench.device.confirmed) == 2


def test_two_bad_looks_end_in_another_trial(bench: _Bench) -> None:
    _confirmed(bench)
    bench.measured(1300)
    judged = strict(Measured(model_of("zen4"))).judge(
        {site.key: site for site in bench.device.known_sites}, [SiteKey(0x1002, 39)]
    )
    bench.trials.on_judged(bench.group, judged)
    assert bench.state is TrialState.NONE
    bench.trials.on_judged(bench.group, judged)
    assert bench.state is TrialState.ON


def test_who_is_sure_to_gain_is_not_timed(bench: _Bench) -> None:
    _confirmed(bench)
    bench.measured(1300)
    judged = strict(Measured(model_of("zen4"))).judge(
        {site.key: site for site in bench.device.known_sites}, [SiteKey(0x1002, 39)]
    )
    for _ in range(3):
        bench.trials.on_judged(bench.group, judged, lambda judged: True)
    assert bench.state is TrialState.NONE
    lease = bench.device.confirmed[-1][1]
    assert lease is not None
    # By runs alone, as long as they are long enough.
    assert not lease.timed
    assert 8 * lease.saving >= lease.run > 0


def test_a_lease_that_lost_ends_in_another_trial(bench: _Bench) -> None:
    _confirmed(bench)
    bench.device.cpu = 8_000_000_000
    bench.now += 1.0
    bench.trials.set_time(bench.now)
    before = bench.trials.budget.left(bench.now)
    assert before > 1_500_000
    region = bench.group.region
    bench.device.trials[region] = replace(
        bench.device.trials[region], state=TrialState.OVER, lost_ns=10_000
    )
    bench.trials.on_end(region, bench.now)
    assert not bench.look()
    assert bench.state is TrialState.ON
    assert bench.trials.budget.left(bench.now) == before - 10_000 - 320_000


def test_a_lease_that_lost_ends_without_anything_to_lend(bench: _Bench) -> None:
    _confirmed(bench)
    region = bench.group.region
    # What there is once is for regions that are new.
    assert bench.trials.budget.left(bench.now) > 320_000
    bench.measured(1300)
    judged = strict(Measured(model_of("zen4"))).judge(
        {site.key: site for site in bench.device.known_sites}, [SiteKey(0x1002, 39)]
    )
    bench.trials.on_judged(bench.group, judged)
    bench.trials.on_judged(bench.group, judged)
    # A credit that the first run uses up.
    assert bench.device.trials[region].state is TrialState.ON
    assert bench.device.trials[region].left_ns == 1


def test_one_that_could_not_be_replaced_is_watched_on(bench: _Bench) -> None:
    before = bench.trials.budget.left(bench.now)
    bench.load()
    permit = bench.trials.admit(sites(0x1002, 0x1022), bench.group.region)
    assert permit
    bench.spend(100_000)
    assert bench.trials.spent(bench.group.region) == 100_000
    bench.trials.refund(permit)
    bench.measured(1200)
    (found,) = bench.look(0.02)
    assert found.verdict is Verdict.LOSES
    assert bench.trials.budget.left(bench.now) == before - 100_000


def test_one_that_is_told_of_late_goes_on(bench: _Bench) -> None:
    """It said that its credit was used up before it was confirmed."""
    _confirmed(bench)
    for state in (TrialState.NONE, TrialState.IDLE):
        bench.device.trials[bench.group.region] = Trial(state)
        bench.trials.on_end(bench.group.region, bench.now)
        assert not bench.look()
        assert bench.state is state
        assert bench.trials.due == math.inf


def test_lost_events_are_made_up_for(bench: _Bench) -> None:
    bench.load()
    bench.trials.check_all(bench.now)
    assert bench.trials.due == bench.now


def test_sharing_by_bits() -> None:
    assert TrialPolicy.sharing(11).share == 1 / 2048
    assert TrialPolicy.sharing(0).share == math.inf


def test_more_time_is_lent_by_a_slower_clock() -> None:
    usual, slow = TrialPolicy(), TrialPolicy().slower(20.0)
    for name in ("share", "first", "loan", "reserve"):
        assert getattr(slow, name) == 20 * getattr(usual, name)
    assert slow.window == usual.window
