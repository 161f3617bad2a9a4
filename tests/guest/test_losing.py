# SPDX-License-Identifier: GPL-2.0-only
"""What it costs to be tried in vain, in the lab, with the machine counting."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.guest.counted import counted

_ROUNDS = 1_500
_SHARE = 0.001
_FIRST = 2_000_000  # ns, once: to look, and to try


@pytest.mark.guest
@pytest.mark.stock("instructions are counted")
def test_losing_programs_are_tried_at_a_bounded_cost() -> None:
    output = counted("losing", str(_ROUNDS))
    said: dict[tuple[str, str], dict[str, Any]] = {}
    for line in output.splitlines():
        if line[:1] == "{":
            each = json.loads(line)
            said[each["kind"], each["way"]] = each

    def total(kind: str, way: str) -> int:
        return int(said[kind, way]["first"] + said[kind, way]["second"])

    # It was tried, and it does lose.
    assert said["always", "tried"]["loads"] >= 1
    assert said["always", "tried"]["dispatched"] > 0
    native = total("always", "asleep")
    assert total("always", "unlimited") > native * (1 + 5 * _SHARE)
    assert total("always", "tried") <= native * (1 + _SHARE) + _FIRST

    # It gained as long as there was something to gain. Its gap becomes another one
    # within runs of a hundred thousand calls, at whose beginnings alone gaps are
    # timed: when that is found out is chance, with trials and without (docs/limits.md).
    # It loses no more than a program that is boosted all the while: that is the half in
    # which the loss was not found out by chance, and which begins natively.
    boosted = max(said["always", "unlimited"][half] for half in ("first", "second"))
    first, second = (said["later", "tried"][half] for half in ("first", "second"))
    before = said["later", "asleep"]
    assert first < 0.9 * before["first"]
    assert second <= boosted * 1.05 + _FIRST
