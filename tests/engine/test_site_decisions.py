# SPDX-License-Identifier: GPL-2.0-only
"""Each kind of evidence, and the sites whose decision it changes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.engine.fakes import FakeDevice
from tests.engine.samples import ENTRY, entered_at
from ubypass.abi import SiteKey
from ubypass.cost.gap import GapProfile
from ubypass.cost.model import Parameter, Range, model_of
from ubypass.device.types import Path, Site
from ubypass.device.uapi import SiteVerdict
from ubypass.engine.admission import AdmissionPolicy
from ubypass.engine.decision import Boost, Native, Probe
from ubypass.engine.group import Group
from ubypass.engine.module_state import ModuleState
from ubypass.engine.profile import Profile
from ubypass.engine.profitability import Judgement
from ubypass.engine.shared_history import SharedHistory
from ubypass.engine.site_decisions import Changes, SiteDecisions
from ubypass.engine.trial import Finding, Verdict

#: Two calls, each of which ends the other's gap.
_A, _B = SiteKey(0x1002, 39), SiteKey(0x1012, 39)
_SHORT = GapProfile(40, 40)
_LOSING = GapProfile(9000, 900, accesses=3000, turns=1000)
_HUGE = GapProfile(5000, 5000)
_JUDGED = Judgement(ENTRY, 10.0, -50.0, 2.0, loses=True, keeps_losing=True, slow=False)


@dataclass
class _World:
    policy: AdmissionPolicy = field(default_factory=AdmissionPolicy)
    history: SharedHistory = field(default_factory=SharedHistory)

    def __post_init__(self) -> None:
        self.device = FakeDevice()
        self.profile = Profile()
        self.module = ModuleState(self.device.attach(42), self.device)
        self.decisions = SiteDecisions(
            self.policy, self.profile, self.module, self.history
        )

    def say(self, key: SiteKey, verdict: SiteVerdict, native_ns: int = 300) -> None:
        self.device.known_sites = [
            *(site for site in self.device.known_sites if site.key != key),
            Site(*key, verdict, native_ns=native_ns),
        ]
        self.module.refresh_sites()

    def admit(self, gap: GapProfile) -> bool:
        return self.decisions.admit(_path(_A, _B), gap)

    def decide(self, key: SiteKey, **more: Any) -> object:
        return self.decisions.decide(Site(*key, SiteVerdict.HOT), **more)


def _path(site: SiteKey, to: SiteKey) -> Path:
    return Path(*site, (site.ip, to.ip - 2), to.nr)


@pytest.fixture
def world() -> _World:
    return _World()


def _kinds(changes: Changes) -> list[tuple[SiteKey, type]]:
    return [(key, type(decision)) for key, decision in changes]


def test_of_what_nothing_is_known_is_tried(world: _World) -> None:
    assert isinstance(world.decide(_A), Probe)
    assert world.decide(_A, is_entry=True) == Boost()
    assert not world.decisions.is_suppressed(_A)


def test_a_gap_that_would_lose_is_not_admitted(world: _World) -> None:
    world.say(_A, SiteVerdict.HOT, 2800)
    assert world.admit(_SHORT)
    assert not world.admit(_LOSING)
    ((key, decision),) = world.decisions.reject(_A, _LOSING)
    assert key == _A
    assert decision == world.decide(_A)
    assert isinstance(decision, Native)
    assert decision.barrier
    assert decision.until is None
    assert "would lose" in decision.reason
    assert world.history.suppressions[_A].native_ns == 2800
    # It is decided already.
    assert world.decisions.reject(_A, _LOSING) == []


def test_a_second_path_that_gains_lifts_the_suppression_by_the_first(
    world: _World,
) -> None:
    assert not world.admit(_LOSING)
    world.decisions.reject(_A, _LOSING)
    assert world.admit(_SHORT)
    assert _kinds(world.decisions.readmit(_A)) == [(_A, Probe)]
    assert not world.decisions.is_suppressed(_A)
    assert _A not in world.history.suppressions
    assert world.decisions.readmit(_A) == []


def test_in_an_emulator_its_paths_have_to_gain_together() -> None:
    world = _World(AdmissionPolicy(model_of("zen4"), model_decides=True))
    assert not world.admit(_LOSING)
    world.decisions.reject(_A, _LOSING)
    # To another call: a second path.
    assert world.decisions.admit(_path(_A, SiteKey(0x1006, 39)), _SHORT)
    assert world.decisions.readmit(_A) == []
    # The first path again, but now a short one.
    assert world.admit(_SHORT)
    assert _kinds(world.decisions.readmit(_A)) == [(_A, Probe)]


def test_a_gap_that_is_too_large_is_never_admitted(world: _World) -> None:
    assert not world.admit(_HUGE)
    assert _kinds(world.decisions.reject(_A, _HUGE)) == [(_A, Native)]


def test_other_calls_at_the_same_address_are_other_sites(world: _World) -> None:
    wait, read = SiteKey(_A.ip, 232), SiteKey(_A.ip, 0)
    for key in (wait, read):
        world.profile.add_entry(key)
    assert not world.decisions.admit(_path(wait, read), _LOSING)
    assert world.decisions.admit(_path(read, wait), _SHORT)
    world.decisions.reject(wait, _LOSING)
    assert world.decisions.suppressions.barriers() == {wait}
    assert not world.decisions.is_suppressed(read)
    # Nor does what the module times there count for the other one.
    world.say(wait, SiteVerdict.LONG, 9000)
    world.say(read, SiteVerdict.HOT)
    assert world.decisions.review(0.0) == []
    assert isinstance(world.decide(wait), Native)
    assert isinstance(world.decide(read), Probe)


def test_what_the_module_finds_too_long_is_native_until_it_is_shorter(
    world: _World,
) -> None:
    world.say(_A, SiteVerdict.LONG, 9000)
    assert _kinds(world.decisions.review(0.0)) == [(_A, Native)]
    assert world.decisions.review(1.0) == []
    assert not world.history.suppressions  # its relatives time their own
    world.say(_A, SiteVerdict.OPEN, 100)
    assert world.decisions.review(2.0) == []  # no verdict yet
    world.say(_A, SiteVerdict.HOT, 8000)
    assert _kinds(world.decisions.review(3.0)) == [(_A, Probe)]


def test_runs_that_end_at_once_are_not_begun_until_they_go_on() -> None:
    # One gap does not pay for a run.
    run = Parameter(Range(180, 180, 180), "estimated", "")
    costly = replace(model_of("zen4"), run=run)
    world = _World(AdmissionPolicy(costly, model_decides=True))
    world.profile.add_entry(_A)
    assert world.decisions.is_open()
    assert world.admit(GapProfile(2, 2))
    world.say(_B, SiteVerdict.BUSY)
    assert not world.decisions.is_open()
    assert _kinds(world.decisions.predict(0.0)) == [(_A, Native)]
    assert world.decisions.predict(1.0) == []
    world.say(_B, SiteVerdict.HOT)
    world.decisions.admit(_path(_B, _A), GapProfile(2, 2))
    assert _kinds(world.decisions.predict(2.0)) == [(_A, Probe)]


def test_what_lost_in_a_relative_is_not_tried_unless_it_gains_here() -> None:
    first = _World()
    first.say(_A, SiteVerdict.ENTRY)
    assert first.decisions.suppress_losing([_JUDGED], 0.0, settled=False)
    second = _World(history=first.history)
    second.say(_A, SiteVerdict.HOT)
    assert second.decisions.predict(0.0) == []  # it is not hot there
    second.profile.add_entry(_A)
    second.decisions.add_judgements([replace(_JUDGED, gain=1.0)])
    assert second.decisions.predict(0.0) == []
    second.decisions.add_judgements([_JUDGED])
    assert _kinds(second.decisions.predict(0.0)) == [(_A, Native)]


@pytest.mark.parametrize(("saving", "barrier"), [(10.0, False), (-10.0, True)])
def test_entries_that_lose_are_suppressed(
    world: _World, saving: float, barrier: bool
) -> None:
    judged = replace(_JUDGED, saving=saving)
    ((_, decision),) = world.decisions.suppress_losing([judged], 5.0, settled=False)
    assert isinstance(decision, Native)
    assert decision.barrier is barrier
    assert decision.until == (None if barrier else 35.0)
    assert _A in world.history.suppressions


def test_while_a_region_grows_its_runs_may_lose(world: _World) -> None:
    judged = replace(_JUDGED, keeps_losing=False)
    assert world.decisions.suppress_losing([judged], 5.0, settled=False) == []
    assert world.decisions.suppress_losing([judged], 5.0, settled=True)


def test_judgements_are_kept_and_averaged(world: _World) -> None:
    assert world.decisions.mean_prices([_A]) == (None, None)
    site = replace(ENTRY, runs=100, dispatched=300)
    (judged,) = world.decisions.judge({_A: site}, [_A])
    assert world.decisions.judgements == {_A: judged}
    assert world.decisions.mean_prices([_A, _B]) == (judged.saving, judged.run)


def _group(*entries: SiteKey) -> Group:
    translation = entered_at(*(entry.ip for entry in entries))
    return Group(set(entries), region=1, loaded=translation)


@pytest.mark.parametrize(
    ("verdict", "judged", "reasons"),
    [
        (Verdict.LOSES, [_JUDGED], {_A: "runs of 2.0 calls lose 50 ns each"}),
        (
            Verdict.LOSES,
            [replace(_JUDGED, gain=1.0)],
            dict.fromkeys((_A, _B), "runs from there lose"),
        ),
        (
            Verdict.UNKNOWN,
            [],
            dict.fromkeys((_A, _B), "the trial of runs from there was inconclusive"),
        ),
    ],
)
def test_the_end_of_a_trial(
    world: _World,
    verdict: Verdict,
    judged: list[Judgement],
    reasons: dict[SiteKey, str],
) -> None:
    world.decisions.give_up(Finding(_group(_A, _B), verdict, judged), 0.0)
    decided = {key: world.decide(key) for key in (_A, _B)}
    native = {key: x.reason for key, x in decided.items() if isinstance(x, Native)}
    assert native == reasons
    assert world.history.suppressions.keys() == reasons.keys()


@pytest.mark.parametrize(
    ("model_decides", "source"), [(False, "clock"), (True, "zen4")]
)
def test_prices_are_the_model_s_where_nothing_is_measured(
    model_decides: bool, source: str
) -> None:
    policy = AdmissionPolicy(model_of("zen4"), model_decides)
    assert _World(policy).decisions.prices.source == source
