# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from ubypass.calibrate import typical
from ubypass.calibrate.figures import Kind


def test_it_says_that_nothing_was_measured() -> None:
    assert not typical().measured
    assert typical().rounds == 0


def test_whoever_uses_it_finds_all_kinds() -> None:
    assert [transition.kind for transition in typical().transitions] == list(Kind)
    assert typical().transition_ns > 0
