# SPDX-License-Identifier: GPL-2.0-only
"""Tests of ubypass.engine.run_prediction."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ubypass.abi import SiteKey
from ubypass.cost.gap import GapProfile
from ubypass.cost.model import Parameter, Range, model_of
from ubypass.device.types import Path, Site
from ubypass.device.uapi import SiteVerdict
from ubypass.engine.admission import AdmissionPolicy
from ubypass.engine.profitability import Judgement
from ubypass.engine.run_prediction import RunPredictor
from ubypass.engine.suppressions import Suppressions

_ZEN4 = model_of("zen4")
#: One gap does not earn a run, two do.
_MODEL = replace(_ZEN4, run=Parameter(Range(180, 180, 180), "estimated", ""))
_SHORT = GapProfile(2, 2)
_LONG = GapProfile(300, 300, turns=240)
#: Each after a call that ends another one's gap; two of them at one address.
_A, _B, _C = SiteKey(0x1002, 1), SiteKey(0x1002, 2), SiteKey(0x1022, 1)


def _path(site: SiteKey, to: SiteKey) -> Path:
    return Path(*site, (site.ip, to.ip - 2), to.nr)


@dataclass
class _World:
    suppressions: Suppressions = field(default_factory=Suppressions)
    sites: dict[SiteKey, Site] = field(default_factory=dict)
    judgements: dict[SiteKey, Judgement] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.predictor = RunPredictor(
            AdmissionPolicy(_MODEL, model_decides=True), self.suppressions
        )

    def lead(self, site: SiteKey, to: SiteKey) -> None:
        """A gap that saves 107 ns."""
        self.predictor.add_path(_path(site, to), _SHORT)

    def say(self, site: SiteKey, verdict: SiteVerdict) -> None:
        self.sites[site] = Site(*site, verdict, native_ns=300)

    def look(self, *entries: SiteKey) -> tuple[list[SiteKey], list[SiteKey]]:
        return self.predictor.update(entries, self.sites, self.judgements, 0.0)

    def is_open(self, *entries: SiteKey) -> bool:
        return self.predictor.is_open(entries, self.sites)


def test_what_is_not_traced_is_open() -> None:
    world = _World()
    assert world.is_open(_A)
    world.lead(_A, _B)
    assert world.is_open(_A)
    assert world.look(_A) == ([], [])
    world.say(_B, SiteVerdict.BUSY)
    assert not world.is_open(_A)
    assert not world.is_open()


def test_one_gap_is_not_enough_two_are() -> None:
    world = _World()
    world.lead(_A, _B)
    world.lead(_B, _C)
    world.say(_C, SiteVerdict.LONG)
    assert world.look(_A, _B) == ([_B], [])
    # It is left out as an entry; runs from A go through it all the same.
    assert _B in world.suppressions.disabled_entries()
    assert _B not in world.suppressions.barriers()
    assert world.look(_A, _B) == ([], [])


def test_a_gap_that_was_given_up_ends_a_run() -> None:
    world = _World()
    world.lead(_A, _B)
    world.lead(_B, _A)
    assert world.look(_A, _B) == ([], [])
    world.suppressions.suppress_long(_B, 5000)
    assert world.look(_A, _B) == ([_A], [])
    assert not world.is_open(_A, _B)


def test_few_calls_do_not() -> None:
    world = _World()
    world.lead(_A, _B)
    world.say(_B, SiteVerdict.RARE)
    assert world.look(_A) == ([], [])


def test_what_was_seen_to_gain_is_kept() -> None:
    world = _World()
    world.lead(_A, _B)
    world.say(_A, SiteVerdict.ENTRY)
    world.say(_B, SiteVerdict.BUSY)
    good = Judgement(world.sites[_A], 150.0, 10.0, 1.0, False, False, False)
    world.judgements[_A] = good
    assert world.look(_A) == ([], [])
    del world.judgements[_A]
    assert world.look(_A) == ([_A], [])


def test_ways_that_lead_on_after_all_bring_it_back() -> None:
    world = _World()
    world.lead(_A, _B)
    world.say(_B, SiteVerdict.BUSY)
    assert world.look(_A) == ([_A], [])
    world.lead(_A, _A)
    assert world.look(_A) == ([], [_A])
    assert world.suppressions.get(_A) is None
    assert world.look(_A) == ([], [])


def test_a_way_that_does_not_lead_to_a_call_says_nothing() -> None:
    world = _World()
    world.predictor.add_path(Path(*_A, (_A.ip, 0x1040)), _SHORT)
    world.predictor.add_path(Path(*_A, (), 1), _SHORT)
    world.say(SiteKey(0x1042, 1), SiteVerdict.BUSY)
    assert world.is_open(_A)


def test_long_runs_of_short_gaps_are_sure() -> None:
    world = _World()
    site = Site(*_A, SiteVerdict.ENTRY, native_ns=300)
    long = Judgement(site, -90.0, -3e4, 300.0, True, True, True)
    assert not world.predictor.is_sure(long)
    world.lead(_A, _B)
    assert world.predictor.is_sure(long)
    short = Judgement(site, -90.0, -3e4, 2.0, True, True, True)
    assert not world.predictor.is_sure(short)
    # Loads that wait for each other, which the cost model does not know of.
    slow = Judgement(site, -375.0, -9e5, 300.0, True, True, True)
    assert not world.predictor.is_sure(slow)
    # A gap that was as long one time may be so again.
    world.predictor.add_path(_path(_A, _C), _LONG)
    assert not world.predictor.is_sure(long)


def test_a_gap_that_is_not_the_traced_one_is_not_sure() -> None:
    world = _World()
    world.lead(_A, _B)
    world.predictor.add_path(_path(_A, _B), _SHORT, 300)
    for native_ns, sure in ((300, True), (400, True), (500, False)):
        site = Site(*_A, SiteVerdict.ENTRY, native_ns=native_ns)
        judged = Judgement(site, -90.0, -3e4, 300.0, True, True, True)
        assert world.predictor.is_sure(judged) is sure


def test_what_a_site_is_likely_to_save() -> None:
    world = _World()
    assert world.predictor.saving(_A) is None
    world.lead(_A, _B)
    short = _MODEL.saving(_SHORT).likely
    assert world.predictor.saving(_A) == short
    world.predictor.add_path(_path(_A, _C), _LONG)
    long = _MODEL.saving(_LONG).likely
    assert world.predictor.saving(_A) == (short + long) / 2
