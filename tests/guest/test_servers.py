# SPDX-License-Identifier: GPL-2.0-only
"""Real servers under ``ub run``."""

from __future__ import annotations

from typing import Any

import pytest

from tests.guest.conftest import Guest
from tests.guest.servers import ENOUGH

pytestmark = pytest.mark.guest

_MIB = 1 << 20


def boosted_throughout(result: dict[str, Any], print_as: str) -> None:
    assert result["survived_start"], result["output"]
    assert result["survived_load"], result["output"]
    summary = result["summary"]
    process = summary["processes"][-1]  # the first may be who started it
    print(f"{print_as}: bypass rate {process['bypass_rate']:.3f}")
    # Correct, and not because nothing was tried.
    assert process["runs"] > 0
    assert process["first_boost_seconds"] is not None
    assert summary["engine_peak_bytes"] <= 150 * _MIB


def _case(name: str, filters: int) -> Any:
    return pytest.param(name, filters, marks=pytest.mark.guest(name))


@pytest.mark.guest
@pytest.mark.parametrize(
    ("name", "filters"), [_case("redis", 0), _case("redis-unit", 13)]
)
def test_redis_answers_a_full_benchmark(guest: Guest, name: str, filters: int) -> None:
    result = guest.result(name)
    assert result["filters"] == [filters]
    assert result["benchmark_status"] == 0, result["benchmark_errors"]
    tests = [line.split(",")[0] for line in result["benchmark"]]
    assert '"SET"' in tests
    assert '"GET"' in tests
    assert result["checked"] == result["asked"] >= 4000
    assert result["status"] == 0
    boosted_throughout(result, name)
    assert result["summary"]["processes"][-1]["dispatched"] > 0


@pytest.mark.guest
@pytest.mark.parametrize(
    ("name", "filters"),
    [_case("nginx", 0), _case("nginx-unit", 13), _case("nginx-container", 1)],
)
def test_nginx_serves_what_is_there(guest: Guest, name: str, filters: int) -> None:
    result = guest.result(name)
    assert result["filters"] == [filters]
    assert result["wrk_status"] == 0
    assert result["requests"] > ENOUGH
    text = "\n".join(result["wrk"])
    assert "Non-2xx" not in text
    assert "Socket errors" not in text
    assert result["fetched"] >= 8
    assert result["wrong"] == []
    assert result["errors"] == []
    assert result["status"] == 0
    boosted_throughout(result, name)
    assert result["summary"]["processes"][-1]["dispatched"] > 0
