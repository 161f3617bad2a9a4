# SPDX-License-Identifier: GPL-2.0-only
"""Tests of ubypass.engine.shared_history."""

from __future__ import annotations

from ubypass.abi import SiteKey
from ubypass.engine.shared_history import SharedHistory
from ubypass.engine.suppressions import Suppression

_A, _B = SiteKey(0x1002, 39), SiteKey(0x1012, 39)


def _suppression(native_ns: int) -> Suppression:
    return Suppression("loses", native_ns, barrier=False, until=None)


def test_the_last_word_counts() -> None:
    known = SharedHistory()
    known.record(_A, _suppression(300))
    known.record(_A, _suppression(700))
    known.record(_A, None)
    assert known.suppressions[_A].native_ns == 700


def test_it_does_not_grow_for_ever() -> None:
    known = SharedHistory(sites=2)
    for site in (_A, _B, SiteKey(0x1002, 1)):
        known.record(site, _suppression(300))
    assert set(known.suppressions) == {_A, _B}
    known.record(_B, _suppression(500))
    assert known.suppressions[_B].native_ns == 500
