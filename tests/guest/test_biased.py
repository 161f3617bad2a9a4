# SPDX-License-Identifier: GPL-2.0-only
"""Accesses through registers that hold no address: dispatched all the same."""

from __future__ import annotations

import pytest

from tests.guest.conftest import Guest
from tests.guest.grown import SHARE


@pytest.mark.guest("biased")
def test_its_gaps_stay_in_the_kernel(guest: Guest) -> None:
    result = guest.result("biased")
    print(f"{result['share']:.1%} dispatched; learned {result['learned']}")
    assert result["native"]["status"] == 0
    # Faults are where they were, and for the same addresses.
    assert result["native"]["output"][0].endswith(" wrong 0 faults 2 wrong 0")
    assert result["boosted"] == result["native"]
    assert result["learned"]
    assert result["grown"]
    assert result["share"] >= SHARE
