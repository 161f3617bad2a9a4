# SPDX-License-Identifier: GPL-2.0-only
"""Boosted servers through what operators do to them."""

from __future__ import annotations

import pytest

from tests.guest.conftest import Guest

pytestmark = pytest.mark.guest


@pytest.mark.guest("redis-survives")
def test_redis_survives_reload_save_eviction_and_shutdown(guest: Guest) -> None:
    result = guest.result("redis-survives")
    assert result["before"] == 0
    assert result["reload"]
    assert result["wrong_after_reload"] == 0
    assert result["bgsave"] == "ok"
    assert result["saved"]
    assert result["evicted"]
    assert result["wrong_after_evicting"] == 0
    assert result["checked"][0] > 0
    assert result["checked"][1] == 0
    assert result["ended"]
    assert result["dispatched"] > 0


@pytest.mark.guest("nginx-survives")
def test_nginx_survives_reload_reopening_and_upgrade(guest: Guest) -> None:
    result = guest.result("nginx-survives")
    assert result["reopened"]
    assert result["reloaded"]
    assert result["upgraded"]
    assert result["old_ended"]
    for stage in ("before", "after_reopening", "after_reload", "after_upgrade"):
        assert result[stage][0] > 0
        assert result[stage][1] == 0, stage
    assert result["native_again"][1] == 0
    assert result["errors"] == []
