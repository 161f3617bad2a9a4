# SPDX-License-Identifier: GPL-2.0-only
"""The service on a kernel with the module."""

from __future__ import annotations

import pytest

from tests.guest.conftest import Guest
from tests.guest.service import answer

pytestmark = pytest.mark.guest


@pytest.mark.guest("service")
def test_rules_boost_their_programs_and_no_other(guest: Guest) -> None:
    """Also those of other users, with the capabilities that the unit leaves."""
    result = guest.result("service")
    assert result["attached"] == 2
    processes = answer(result["stats"])["processes"]
    assert sorted(each["pid"] for each in processes) == sorted(result["pids"])
    status = answer(result["status"])
    assert status["processes"] == status["boosted"] == 2
    assert [rule["name"] for rule in status["rules"]] == ["by-path", "by-user"]
    assert all(rule["dispatched"] > 1000 for rule in status["rules"])
    assert result["figures"]


@pytest.mark.guest("service")
def test_a_pause_leaves_it_native(guest: Guest) -> None:
    result = guest.result("service")
    assert result["pause"]["status"] == 0
    assert result["native_in_a_pause"]
    assert result["resume"]["status"] == 0


@pytest.mark.guest("service")
def test_its_death_leaves_programs_native(guest: Guest) -> None:
    result = guest.result("service")
    assert result["regions_gone"]
    assert result["alive"]
    assert result["asked_then"]["status"] == 3
    # And the next one takes over, and lets go in order.
    assert result["stopped_with"] == 0
    assert result["attached_after"] == 0
    assert result["ended"]
    assert result["outcome"]["status"] == 0
    assert result["outcome"] == result["native"]
    words = [line.split()[0] for line in result["journal"]]
    assert words.count("event=started") == 2
    assert words.count("event=paused") == 1
    assert words[-1] == "event=stopped"
