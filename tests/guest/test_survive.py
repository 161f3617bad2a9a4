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
def test_nginx_survives_reopening_reload_and_upgrade(guest: Guest) -> None:
    result = guest.result("nginx-survives")
    for stage in ("attaching", "reopening", "reload", "upgrade"):
        assert result[stage], stage
        checked, wrong = result[f"after_{stage}"]
        assert checked > 0
        assert wrong == 0, stage
    assert result["load"][0] > 100
    assert result["load"][1] == 0
    assert result["native_again"][1] == 0
    assert result["errors"] == []
