# SPDX-License-Identifier: GPL-2.0-only
"""Who is boosted, who is not and why, and what is counted."""

from __future__ import annotations

import errno
import json

import pytest

from tests.guest.conftest import Guest

pytestmark = pytest.mark.guest


@pytest.mark.guest("namespace")
def test_children_in_a_pid_namespace_are_boosted_and_nobody_else(guest: Guest) -> None:
    result = guest.result("namespace")
    assert result["known"]
    assert result["late"]
    assert result["ended"]
    # The master and three workers, and no process that has a worker's number outside.
    assert result["count"] == 4
    assert result["outcome"]["status"] == 0
    assert {each["name"] for each in result["processes"]} == {"family", "exe"}
    busy = [each for each in result["processes"] if each["dispatched"] > 1000]
    assert len(busy) == 3
    # Numbers as the engine sees them, and decoys had all of them and those outside.
    assert all(6000 < each["pid"] <= 6040 for each in result["processes"])
    assert len(result["outside"]) == 4
    assert all(7020 < number <= 7060 for number in result["outside"])
    # Who asks from outside hears of them by the numbers that they have there.
    asked = json.loads("\n".join(result["stats"]["stdout"]))["processes"]
    assert sorted(each["pid"] for each in asked) == sorted(result["outside"])


@pytest.mark.guest("invalidated")
def test_a_region_that_dies_with_all_memory_comes_back(guest: Guest) -> None:
    result = guest.result("invalidated")
    assert result["live"] == 0
    assert result["loads"] >= 1
    assert result["boosted"]["status"] == 0
    assert "wrong 0" in result["boosted"]["output"][0]


@pytest.mark.guest("invalidated-unheard")
def test_so_does_one_of_whose_death_no_event_tells(guest: Guest) -> None:
    result = guest.result("invalidated-unheard")
    assert result["lost"] > 0
    assert result["live"] == 0
    assert result["loads"] >= 1
    assert "wrong 0" in result["boosted"]["output"][0]


@pytest.mark.guest("declined")
def test_a_lasting_reason_is_named_and_nothing_is_built(guest: Guest) -> None:
    result = guest.result("declined")
    assert result["told"]
    said = [line for line in result["said"] if "user time" in line]
    assert "not boosted: a timer measures its user time" in said[0]
    process = result["process"]
    assert process["declined_for"] == "user_time"
    assert process["declines"]["user_time"] >= 1
    assert process["loads"] == 0
    assert process["calls"] > 10_000
    for each in result["processes"]:
        assert each["loads"] == 0
        assert each["dispatched"] == 0
    for words in ("stats", "stats_of_it", "explain"):
        text = "\n".join(result[words]["stdout"])
        assert "a timer measures its user time" in text, words
    assert "ITIMER_VIRTUAL" in "\n".join(result["explain"]["stdout"])


@pytest.mark.guest("whole-life")
def test_all_calls_of_a_short_program_are_counted(guest: Guest) -> None:
    result = guest.result("whole-life")["counted"]
    assert result["status"] == 0
    (process,) = result["processes"]
    assert process["name"] == "dd"
    assert process["uncounted_seconds"] == 0.0
    assert 100_000 <= process["calls"] <= 100_300


@pytest.mark.guest("whole-life")
def test_calls_that_are_not_counted_are_said_not_to_be(guest: Guest) -> None:
    result = guest.result("whole-life")["left alone"]
    assert result["status"] == 0
    (process,) = result["processes"]
    assert process["uncounted_seconds"] > 0.0
    assert "not counting" in result["said"]
    if process["calls"] == 0:
        assert "then it ended" in result["said"]


@pytest.mark.guest("daemon")
def test_what_a_command_leaves_behind_stays_boosted(guest: Guest) -> None:
    result = guest.result("daemon")
    assert result["told"]
    assert result["boosted"]
    assert result["still"]
    assert result["ended"]
    assert result["outcome"]["status"] == 7
    assert "wrong 0" in result["outcome"]["output"][0]
    assert any("Ctrl-C detaches them" in line for line in result["said"])
    (spin,) = [each for each in result["processes"] if each["name"] == "spin"]
    assert spin["dispatched"] > 10_000


@pytest.mark.guest("capability")
def test_the_device_is_for_who_may_load_modules(guest: Guest) -> None:
    result = guest.result("capability")
    status, output, errors = result["refused"]
    assert (status, output) == (1, "")
    assert "CAP_SYS_MODULE" in errors
    assert "Traceback" not in errors
    refused = [f"ioctl {errno.EPERM}", f"read {errno.EPERM}"]
    assert result["to_the_weak"] == refused
    assert result["to_another"] == refused
    assert result["to_its_like"] == ["ioctl 0", f"read {errno.EAGAIN}"]


@pytest.mark.guest("watch-own")
@pytest.mark.guest("watch-trap")
@pytest.mark.guest("watch-other")
@pytest.mark.parametrize("who", ["own", "trap", "other"])
def test_a_watchpoint_that_begins_in_a_run_misses_nothing(
    guest: Guest, who: str
) -> None:
    result = guest.result(f"watch-{who}")
    assert result["native"]["acted"]
    output = result["native"]["programs"][0]["output"]
    assert "missed 0" in output[0]
    assert who != "trap" or output[1:] == ["wrong signals 0"]
    assert result["boosted"] == result["native"]


@pytest.mark.guest("user-time")
def test_a_timer_on_user_time_expires(guest: Guest) -> None:
    result = guest.result("user-time")
    assert result["native"]["acted"]
    assert result["native"]["programs"][0]["output"] == ["expired"]
    assert result["boosted"] == result["native"]
