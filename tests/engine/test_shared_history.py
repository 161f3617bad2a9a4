# SPDX-License-Identifier: GPL-2.0-only
"""Tests of ubypass.engine.shared_history."""

from __future__ import annotations

from ubypass.engine.shared_history import SharedHistory
from ubypass.engine.suppressions import Suppression


def _suppression(native_ns: int) -> Suppression:
    return Suppression("loses", native_ns, barrier=False, until=None)


def test_the_last_word_counts() -> None:
    known = SharedHistory()
    known.record(0x1002, _suppression(300))
    known.record(0x1002, _suppression(700))
    known.record(0x1002, None)
    assert known.suppressions[0x1002].native_ns == 700


def test_it_does_not_grow_for_ever() -> None:
    known = SharedHistory(sites=2)
    for ip in (0x1002, 0x1012, 0x1022):
        known.record(ip, _suppression(300))
    assert set(known.suppressions) == {0x1002, 0x1012}
    known.record(0x1012, _suppression(500))
    assert known.suppressions[0x1012].native_ns == 500
