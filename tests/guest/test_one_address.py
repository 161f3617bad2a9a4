# SPDX-License-Identifier: GPL-2.0-only
"""Calls that return at one address, of which some have gaps that are too long."""

from __future__ import annotations

import pytest

from tests.guest.conftest import Guest, case
from tests.guest.grown import PART

# read, write, epoll_wait
_CALLS = {0, 1, 232}


@pytest.mark.guest
@pytest.mark.parametrize("name", [case("one-address")])
def test_those_with_short_gaps_are_dispatched(guest: Guest, name: str) -> None:
    result = guest.result(name)
    print(f"{name}: {result['share']:.1%} of the calls are dispatched")
    print(result["sites"])
    assert result["native"]["status"] == 0
    assert result["boosted"] == result["native"]
    assert result["native"]["output"][0].endswith(" wrong 0")
    # Otherwise this would show nothing.
    (address,) = {ip for ip, nr, _ in result["sites"] if nr in _CALLS}
    verdicts = {nr: verdict for ip, nr, verdict in result["sites"] if ip == address}
    assert verdicts[232] == "LONG"
    assert result["grown"]
    assert result["share"] >= PART
    assert set(result["numbers"]) == _CALLS
