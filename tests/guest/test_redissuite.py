# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from typing import Any

import pytest

from tests.guest.conftest import Guest
from tests.guest.redissuite import SHORT, regressions

_GOOD = {"passed": True, "status": 0, "verdicts": {"SET": "ok", "GET": "ok"}}
_BOOSTED = {**_GOOD, "runs": 100, "failed_to_attach": []}


def of(native: dict[str, Any] = _GOOD, **boosted: object) -> list[str]:
    return regressions({"native": native, "boosted": {**_BOOSTED, **boosted}})


def test_what_is_right_both_ways() -> None:
    assert of() == []


def test_what_fails_only_boosted() -> None:
    verdicts = {"SET": "err"}
    assert of(passed=False, status=1, verdicts=verdicts) == [
        "SET: natively ok, boosted err",
        "GET: natively ok, boosted not run",
        "no test was run",
    ]
    assert of(passed=False, status=1) == ["ended with status 1"]


def test_what_fails_natively_as_well_is_not_ours() -> None:
    verdicts = {"SET": "err", "GET": "ok"}
    native = {"passed": False, "status": 1, "verdicts": verdicts}
    assert of(native, passed=False, status=1, verdicts=verdicts) == []


def test_what_was_not_boosted_shows_nothing() -> None:
    assert of(runs=0) == ["no translation was run"]
    assert of(failed_to_attach=["no"]) == ["no"]


@pytest.mark.guest
@pytest.mark.guest("redis-suite")
def test_boosted_servers_pass_redis_own_tests(guest: Guest) -> None:
    result = guest.result("redis-suite")
    assert set(result) == set(SHORT)
    for unit, ran in result.items():
        assert ran["native"]["passed"], ran["native"]["why"]
        assert regressions(ran) == [], unit
