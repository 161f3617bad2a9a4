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
