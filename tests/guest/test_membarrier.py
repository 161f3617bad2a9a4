# SPDX-License-Identifier: GPL-2.0-only
"""Barriers against a boosted loop: all work, and those for rseq end the boosting."""

from __future__ import annotations

import pytest

from tests.guest.conftest import Guest

pytestmark = pytest.mark.guest

_SHOWN = [
    "global 0",
    "global expedited 0",
    "private, too early -1",
    "register global 0",
    "global expedited 0",
    "register private 0",
    "private 0",
    "register core 0",
    "core 0",
    "rseq, too early -1",
    "register rseq 0",
    "rseq 0",
]


@pytest.mark.guest("membarrier")
def test_each_barrier_returns_and_the_loop_goes_on(guest: Guest) -> None:
    result = guest.result("membarrier")
    native = result["native"]
    assert native["acted"]
    assert native["done"]
    assert native["output"] == _SHOWN
    assert native["status"] == 0
    assert result["boosted"] == native
    # Until the last kind comes, all of this is dispatched.
    assert result["grown"]
    assert result["goes_on"]
    assert set(result["before"]) == {0}


@pytest.mark.guest("membarrier")
def test_one_for_rseq_ends_the_boosting(guest: Guest) -> None:
    result = guest.result("membarrier")
    assert result["registered"]
    assert result["suspended"], result["states"]
    assert result["dispatched_later"] == 0
    assert result["declined"]
    assert result["declines"] > 0
