# SPDX-License-Identifier: GPL-2.0-only
"""Tests of ubypass.engine.admission."""

from __future__ import annotations

import pytest

from ubypass.cost.gap import GapProfile
from ubypass.cost.model import Range, model_of
from ubypass.engine.admission import AdmissionPolicy

_SHORT = GapProfile(40, 40)
#: Between what is likely to lose and what is bound to.
_DOUBTFUL = GapProfile(1000, 1000, turns=400)
_LOSING = GapProfile(9000, 900, accesses=3000, turns=1000)


def test_savings_are_the_model_s() -> None:
    assert AdmissionPolicy().saving(_SHORT) == model_of("zen4").saving(_SHORT)


def test_what_must_not_be_translated() -> None:
    for final in (False, True):
        admission = AdmissionPolicy(model_decides=final)
        assert admission.objection(_SHORT) == ""
        assert "would lose" in admission.objection(_LOSING)
        assert "zen4" in admission.objection(_LOSING)


def test_what_is_measured_later_gets_a_chance() -> None:
    assert AdmissionPolicy().objection(_DOUBTFUL) == ""
    assert AdmissionPolicy(model_decides=True).objection(_DOUBTFUL)


def test_too_many_instructions() -> None:
    admission = AdmissionPolicy(max_distinct=100)
    assert admission.objection(GapProfile(5000, 100)) == ""
    said = admission.objection(GapProfile(5000, 101))
    assert said == "its gap has too many different instructions (101)"


@pytest.mark.parametrize("final", [False, True])
def test_what_earns_a_run(final: bool) -> None:
    admission = AdmissionPolicy(model_decides=final)
    run = admission.model.run.ns
    assert admission.pays_for_run(Range(0, run.likely, run.likely))
    assert not admission.pays_for_run(Range(0, run.low - 1, run.low - 1))
    # Doubt is in favour of what will be measured.
    assert admission.pays_for_run(Range(0, run.low, run.low)) is not final
