# SPDX-License-Identifier: GPL-2.0-only
"""What happens to a boosted program from outside."""

from __future__ import annotations

from typing import Any

import pytest

from tests.guest.conftest import Guest

pytestmark = pytest.mark.guest


def same_outcome(result: dict[str, Any]) -> None:
    assert result["native"]["status"] == 0
    assert result["boosted"] == result["native"]
    assert "wrong 0" in result["native"]["output"][0]


@pytest.mark.guest("daemon-killed")
def test_killing_the_daemon_leaves_a_native_program(guest: Guest) -> None:
    result = guest.result("daemon-killed")
    assert result["alive"]
    assert result["regions_gone"]
    assert result["dispatched_again"] > 1000
    assert result["stopped_with"] == 0
    same_outcome(result)


@pytest.mark.guest("rmmod")
def test_the_module_leaves_when_nobody_is_inside(guest: Guest) -> None:
    result = guest.result("rmmod")
    assert result["echoed"]
    assert result["refused"]["status"] == 1
    said = result["refused"]["stderr"]
    assert "module: engines that detach their processes: 1 (2)" in said
    inside = f"in use: {result['cat']} (cat) is in read"
    assert said[-2].endswith(f"cannot unload the module: {inside}")
    # Also while it still waited.
    assert f"module: {inside}" in said
    assert result["left_with"] == 0
    assert result["went_on"]
    assert result["worked"]["status"] == 0
    assert not result["loaded_after"]
    assert result["load_again"]["status"] == 0
    same_outcome(result)


@pytest.mark.guest("rmmod")
def test_attaching_without_the_module(guest: Guest) -> None:
    answer = guest.result("rmmod")["attach_without_module"]
    assert answer["status"] == 1
    assert answer["stdout"] == []
    assert 1 <= len(answer["stderr"]) <= 2
    assert "module" in answer["stderr"][0]


@pytest.mark.guest("strace")
def test_strace_sees_every_call(guest: Guest) -> None:
    result = guest.result("strace")
    assert result["traced"]
    assert result["acted"]
    assert result["seen"] == result["count"]
    assert result["in_order"]
    assert result["dispatched_while_traced"] == 0
    assert result["boosted"] == result["native"]


@pytest.mark.guest("reattach")
def test_attach_and_detach_a_hundred_times(guest: Guest) -> None:
    result = guest.result("reattach")
    assert result["rounds"] == 100
    assert result["times_boosted"] == 10
    assert result["clean"]
    same_outcome(result)


@pytest.mark.guest("family")
def test_workers_of_an_attached_master_are_boosted(guest: Guest) -> None:
    result = guest.result("family")
    assert result["early"]
    assert result["late"]
    assert result["ended"]
    assert result["native"]["status"] == 0
    assert not any(line.endswith("status 300") for line in result["native"]["output"])
    assert result["boosted"] == result["native"]
    busy = [each for each in result["summaries"] if each["dispatched"] > 1000]
    assert len(busy) == 3
