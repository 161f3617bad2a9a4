# SPDX-License-Identifier: GPL-2.0-only
"""The service on a kernel with the module."""

from __future__ import annotations

import json

import pytest

from tests.guest.conftest import Guest
from tests.guest.service import answer
from tests.guest.service_endures import PROCESSES
from tests.guest.service_limits import SECONDS, SHARE

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


@pytest.mark.guest("service-requests")
def test_the_daemon_boosts_what_commands_name(guest: Guest) -> None:
    result = guest.result("service-requests")
    assert result["run"] == 1
    (stats,) = result["stats"]
    assert stats["engine_pid"] == result["daemon"]
    assert len(stats["processes"]) == 1
    assert result["attach"]
    assert result["attach_ended"] == 0
    assert result["detached"] == 1
    summary = json.loads(result["summary"])
    assert summary["by_service"] is True
    assert len(summary["processes"]) == 1
    words = [line for line in result["journal"] if "event=attached" in line]
    assert all("rule=+request" in line for line in words)
    assert len(words) == 5  # twice by the pause


@pytest.mark.guest("service-requests")
def test_a_pause_is_for_these_too(guest: Guest) -> None:
    result = guest.result("service-requests")
    assert result["pause"] == "operator"
    assert result["paused"] == 0
    assert result["resume"]["paused_by"] is None
    assert result["resumed"]


@pytest.mark.guest("service-requests")
def test_the_death_of_either_side_leaves_native_programs(guest: Guest) -> None:
    result = guest.result("service-requests")
    assert result["client_killed"]
    assert result["daemon_killed"]
    assert result["alive"]
    assert result["ended"]
    # That of 'ub run' is its program's.
    assert result["outcomes"] == [result["native"]] * 2
    assert result["native"]["status"] == 0


@pytest.mark.guest("service-killed")
def test_a_daemon_killed_at_any_moment_leaves_nothing(guest: Guest) -> None:
    result = guest.result("service-killed")
    for each in result["rounds"]:
        assert each["status"] == -9
        assert each["nothing_left"]
        assert each["alive"]
        assert each["short"] == result["native_short"]
    assert result["ended"]
    assert result["outcomes"] == [result["native"]] * 2
    assert result["native"]["status"] == result["native_short"]["status"] == 0
    assert result["answers"] == [[], []]
    assert result["sockets"] == []


@pytest.mark.guest("service-killed")
def test_a_new_daemon_boosts_again(guest: Guest) -> None:
    result = guest.result("service-killed")
    assert result["rounds"][-1]["dispatched"] > 1000
    assert sum("event=attached" in line for line in result["journal"]) >= 4


@pytest.mark.guest("service-endures")
def test_it_does_not_grow_and_is_not_slower(guest: Guest) -> None:
    """After 1,000 reloads, and 200 programs that came and went."""
    result = guest.result("service-endures")
    print(result["before"], result["after"], result["spent"], result["came"])
    assert result["alive"]
    assert result["ended"]
    assert set(result["statuses"]) == {0}
    assert len(result["statuses"]) == PROCESSES
    # Some end before they are found.
    assert result["came"] > PROCESSES / 4
    assert result["only_one"]
    before, after = result["before"], result["after"]
    # One file may be open for a moment: a look at a process.
    assert after["files"] < before["files"] + 5
    assert after["threads"] <= before["threads"]
    # A few pages for each program would be more.
    assert after["kilobytes"] < before["kilobytes"] + 4096
    first, last = result["spent"][:3], result["spent"][-3:]
    assert sum(last) < 1.5 * sum(first) + 0.1


@pytest.mark.guest("service-regions")
def test_a_process_has_no_more_regions_than_it_may(guest: Guest) -> None:
    result = guest.result("service-regions")
    assert result["reached"], result["journal"]
    assert result["limited"] == 1
    # Where it may have more, it has.
    assert result["unlimited"]
    assert result["outcome"]["status"] == 0
    assert result["limited_outcome"] == result["outcome"]
    lines = result["outcome"]["output"]
    assert len(lines) == 3
    assert all(line.endswith(" wrong 0 turned") for line in lines)


@pytest.mark.guest("service-cpu")
def test_the_daemon_takes_no_more_cpu_time_than_it_may(guest: Guest) -> None:
    result = guest.result("service-cpu")
    print({name: result[name] for name in ("much", "little", "rested", "dispatched")})
    share = SHARE / 100
    assert result["much"] > 4 * share  # there is enough for it to do
    # A build that has begun is completed, and the debt is for later.
    assert result["little"] < share + 2 / SECONDS
    assert result["rested"] > SECONDS / 2
    assert result["dispatched"] > 1000
    assert result["pause"]["status"] == 0, result["pause"]
    assert result["attached_then"] == 0
    assert result["seconds_to_pause"] < 20
    assert result["outcome"]["status"] == 0


@pytest.mark.guest("service-memory")
def test_with_too_much_memory_the_daemon_attaches_nothing(guest: Guest) -> None:
    result = guest.result("service-memory")
    assert result["reached"]
    assert result["attached"] == 0
    assert result["status"]["waiting"] == 2
    limits = [line for line in result["journal"] if "event=limit" in line]
    assert limits[0].endswith("reached=memory_mib waiting=2"), limits
    assert result["attached_then"]
    assert result["outcome"]["status"] == 0


@pytest.mark.guest("service-containers")
def test_a_label_of_a_container_decides(guest: Guest) -> None:
    """With Docker's filter of system calls, which runs for each dispatched call."""
    result = guest.result("service-containers")
    assert result["wanted"] != result["other"]
    assert result["filters"] >= 1
    assert result["attached"] == [result["wanted"]]
