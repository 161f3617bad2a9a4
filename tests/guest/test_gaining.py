# SPDX-License-Identifier: GPL-2.0-only
"""A program that rests since it would lose is boosted once it would gain."""

from __future__ import annotations

import json

import pytest

from tests.guest.counted import counted


@pytest.mark.guest
def test_what_begins_to_gain_at_rest_is_boosted() -> None:
    output = counted("gaining")
    found = json.loads(output.splitlines()[-1])
    assert found["rested"]
    assert found["uncounted"] > 0
    # Most calls; a look comes soon here.
    assert found["boosted"], found
    assert found["looks"] >= 1
