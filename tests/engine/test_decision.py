# SPDX-License-Identifier: GPL-2.0-only
"""The rules, as a table: what is known of a site, and what is done with it."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from tests.engine.samples import ENTRY
from ubypass.cost.model import model_of
from ubypass.device.uapi import Decline, SiteVerdict
from ubypass.engine.admission import AdmissionPolicy
from ubypass.engine.decision import (
    Boost,
    Decision,
    Evidence,
    Native,
    Probe,
    decide,
    is_losing,
    loss,
)
from ubypass.engine.declines import REASONS
from ubypass.engine.profitability import Judgement
from ubypass.engine.suppressions import Suppression

_DISABLED = Suppression("runs from there lose", 300, barrier=False, until=130.0)
_BARRIER = Suppression("its gap is slower", 300, barrier=True, until=None)
_JUDGED = Judgement(
    ENTRY, 10.0, -50.0, 2.5, loses=False, keeps_losing=False, slow=False
)


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (SiteVerdict.OPEN, Probe("on trial")),
        (SiteVerdict.HOT, Probe("hot, but in no region yet")),
        (SiteVerdict.ENTRY, Probe("native at present")),
        (SiteVerdict.RARE, Native("too few calls per second")),
        (SiteVerdict.LONG, Native("its gap is too long")),
        (SiteVerdict.BUSY, Native("interrupted in most samples")),
    ],
)
def test_what_only_the_module_knows_of(
    verdict: SiteVerdict, expected: Decision
) -> None:
    assert decide(Evidence(verdict)) == expected


@pytest.mark.parametrize("verdict", SiteVerdict)
def test_a_site_at_which_a_region_is_entered_is_boosted(verdict: SiteVerdict) -> None:
    entered = Evidence(verdict, is_entry=True)
    assert decide(entered) == Boost()
    assert decide(replace(entered, on_trial=True)) == Probe("its region is on trial")


@pytest.mark.parametrize(
    ("suppression", "expected"),
    [
        (_DISABLED, Native("runs from there lose", 130.0)),
        (_BARRIER, Native("its gap is slower", None, barrier=True)),
    ],
)
def test_a_suppressed_site_is_native_whatever_else_is_known(
    suppression: Suppression, expected: Native
) -> None:
    for verdict, is_entry in product(SiteVerdict, (False, True)):
        evidence = Evidence(verdict, suppression=suppression, is_entry=is_entry)
        assert decide(evidence) == expected


@pytest.mark.parametrize("reason", [r for r in Decline if r])
def test_a_declined_process_is_native_whatever_else_is_known(reason: Decline) -> None:
    for suppression, is_entry in product((None, _BARRIER), (False, True)):
        evidence = Evidence(SiteVerdict.ENTRY, reason, suppression, is_entry)
        assert decide(evidence) == Native(REASONS[reason])


@pytest.mark.parametrize(
    ("found", "growing", "settled"),
    [
        ({}, False, False),
        ({"loses": True}, False, True),  # its runs may still become longer
        ({"keeps_losing": True, "loses": True}, True, True),
        ({"slow": True}, True, True),  # a gap is what it is
    ],
)
def test_what_measurements_condemn(
    found: dict[str, bool], growing: bool, settled: bool
) -> None:
    judged = replace(_JUDGED, **found)  # type: ignore[arg-type]
    assert is_losing(judged, settled=False) is growing
    assert is_losing(judged, settled=True) is settled


@pytest.mark.parametrize(
    ("slow", "model_decides", "text"),
    [
        (False, False, "runs of 2.5 calls lose 50 ns each"),
        (False, True, "runs of 2.5 calls lose 50 ns each"),
        (True, False, "its gap takes 300 ns natively, 40 ns boosted"),
        (True, True, "its gap loses 70 ns (model zen4)"),
    ],
)
def test_reasons_have_the_figures_that_decided(
    slow: bool, model_decides: bool, text: str
) -> None:
    judged = replace(_JUDGED, slow=slow, saving=-70.0)
    assert loss(judged, AdmissionPolicy(model_of("zen4"), model_decides)) == text
