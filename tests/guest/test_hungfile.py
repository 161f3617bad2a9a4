# SPDX-License-Identifier: GPL-2.0-only
"""A boosted program whose file is on a file system without an answer."""

from __future__ import annotations

import pytest

from tests.guest.conftest import Guest, case

pytestmark = pytest.mark.guest

KINDS = [case(f"hung-{kind}") for kind in ("text", "read")]


@pytest.mark.parametrize("name", KINDS)
def test_the_program_waits_as_natively(guest: Guest, name: str) -> None:
    result = guest.result(name)
    assert result["native"] == {
        "stuck": True,
        "maps": True,
        "acted": True,
        "ended": True,
        "outcome": {"status": 0, "output": ["wrong 0 acted 1"]},
    }
    assert result["stuck"]
    assert result["outcome"] == result["native"]


@pytest.mark.parametrize("name", KINDS)
def test_the_engine_serves_others_and_answers(guest: Guest, name: str) -> None:
    result = guest.result(name)
    assert result["boosted"]
    assert result["goes_on"]
    assert [each["status"] for each in result["asked"]] == [0, 0]
    assert result["other"]["status"] == 0
    assert "wrong 0" in result["other"]["output"][0]


@pytest.mark.guest("hung-text")
def test_the_module_does_not_wait_for_code(guest: Guest) -> None:
    assert guest.result("hung-text")["missing"]


@pytest.mark.parametrize("name", KINDS)
def test_the_engine_and_the_module_leave(guest: Guest, name: str) -> None:
    result = guest.result(name)
    assert result["left"]
    assert result["detached"]
    assert [each["status"] for each in result["unloaded"][1:]] == [0, 0]
    first = result["unloaded"][0]
    if name == "hung-text":
        # Its thread waits in a page fault, outside of the module.
        assert first["status"] == 0
    else:
        assert first["status"] == 1
        inside = f"in use: {result['pid']} (file) is in pread64"
        assert first["stderr"][-2].endswith(f"cannot unload the module: {inside}")
