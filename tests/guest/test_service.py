# SPDX-License-Identifier: GPL-2.0-only
"""The service on a kernel with the module."""

from __future__ import annotations

import pytest

from tests.guest.conftest import Guest
from tests.guest.service import answer

pytestmark = pytest.mark.guest


@pytest.mark.guest("service")
def test_a_rule_boosts_a_program_and_no_other(guest: Guest) -> None:
    result = guest.result("service")
    assert result["attached"] == 1
    (process,) = answer(result["stats"])["processes"]
    assert process["pid"] == result["pids"][0]
    status = answer(result["status"])
    assert status["processes"] == status["boosted"] == 1
    assert [rule["name"] for rule in status["rules"]] == ["by-path"]
    assert status["rules"][0]["dispatched"] > 0
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
