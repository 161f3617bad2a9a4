# SPDX-License-Identifier: GPL-2.0-only
"""Dispatched calls that a signal interrupts go on, end or are restarted as natively."""

from __future__ import annotations

import pytest

from tests.guest.conftest import Guest

_ROUNDS = 2

#: What each wait gives, by the signal that interrupts it.
_SHOWN = [
    "read restart: 1 handled 1 time any",
    "read plain: -4 handled 1 time any",
    "read stop: 1 handled 0 time any",
    "nanosleep restart: -4 handled 1 time rest",
    "nanosleep plain: -4 handled 1 time rest",
    "nanosleep stop: 0 handled 0 time whole",
    "poll restart: -4 handled 1 time any",
    "poll plain: -4 handled 1 time any",
    "poll stop: 0 handled 0 time whole",
    "futex restart: 0 handled 1 time any",
    "futex plain: -4 handled 1 time any",
    "futex stop: 0 handled 0 time any",
    "timed futex restart: -4 handled 1 time any",
    "timed futex plain: -4 handled 1 time any",
    "timed futex stop: -110 handled 0 time whole",
]


@pytest.mark.guest("restarts")
def test_interrupted_waits_are_as_natively(guest: Guest) -> None:
    result = guest.result("restarts")
    native, boosted = result["native"], result["boosted"]
    assert native["status"] == 0
    assert native["output"] == [line for line in _SHOWN for _ in range(_ROUNDS)]
    assert boosted["output"] == native["output"]
    assert boosted["status"] == 0


@pytest.mark.guest("restarts")
def test_the_waits_were_in_regions(guest: Guest) -> None:
    """There, the address that the kernel shows is of the last native call."""
    result = guest.result("restarts")
    rounds = len(_SHOWN) * _ROUNDS
    assert result["grown"]
    assert result["native"]["elsewhere"] == [0, rounds]
    print(f"elsewhere: {result['boosted']['elsewhere']}")
    elsewhere, seen = result["boosted"]["elsewhere"]
    assert seen == rounds
    assert elsewhere >= 0.8 * rounds
