# SPDX-License-Identifier: GPL-2.0-only
"""Processes that gain nothing rest at no cost, and are looked at now and then."""

from __future__ import annotations

import json

import pytest

from tests.kernel.counted import built, counted
from tests.kernel.loop import loop_program, run_loop
from ubypass.bench.workloads import build_workload

_CALLS = 200_000
_SECONDS = 60

# What is left of one round must not disturb the next one.
_SCRIPT = f"""
leave() {{
    for try in $(seq 1000); do rmmod ub 2>/dev/null && return; sleep 0.1; done
    rmmod ub
}}
insmod $1 || exit 1
python -m tests.kernel.restless $2 {_CALLS} {_SECONDS} || exit 1
leave && insmod $1 || exit 1
python -m tests.kernel.restless $2 {_CALLS} 2 || exit 1
leave
"""


@pytest.mark.guest
@pytest.mark.stock("instructions are counted")
def test_at_rest_calls_cost_nothing() -> None:
    cost = counted("resting", str(build_workload("ioloop")))
    # Nobody pays for a call: timers of the module alone are left.
    assert abs(cost["resting"] - cost["native"]) <= 0.0005 * cost["native"]
    assert abs(cost["rested"] - cost["native"]) <= 0.0005 * cost["native"]
    assert cost["beside"] >= cost["native"] + 7
    # What is not counted is said not to be.
    assert cost["counted"] == 0
    assert cost["uncounted"] > 0.1
    # A look finds what has become worth it.
    assert cost["looks"] >= 1
    # One in 2^14 is 0.006 %: a look once in ten minutes at most, counted.
    assert 0 < cost["hook"] + cost["unhook"] <= 600e9 / 2**14


@pytest.mark.guest
@pytest.mark.stock("instructions are counted")
@pytest.mark.parametrize("server", ["redis", "nginx"])
def test_at_rest_requests_cost_nothing(server: str) -> None:
    cost = counted("resting_servers", server)
    native = max(cost["native"], cost["again"])
    assert cost["resting"] <= 1.0005 * native


@pytest.mark.guest
@pytest.mark.stock("instructions are counted")
def test_at_rest_the_module_hardly_works() -> None:
    # One in 2^14 is for looks; this is what goes on between them, of a CPU.
    most = 0.00008 * 1e9
    cost = counted("resting_timers")
    if cost["resting"] - cost["native"] > most:
        # Once a native count was -1 ms. What the module costs, it costs each time.
        cost = counted("resting_timers")
    assert cost["resting"] - cost["native"] <= most, cost


@pytest.mark.guest
def test_rests_begin_and_end_while_regions_come_and_go() -> None:
    result = run_loop(_SCRIPT, built())
    output = result.stdout.decode()
    print(output)
    assert result.status == 0, output + result.stderr.decode()
    assert not result.log_problems
    first, again = map(json.loads, output.splitlines())
    for found in first, again:
        assert found["wrong"] == found["errors"] == found["refused"] == []
        assert found["loops"] >= 3
    assert first["dispatched"] > 0
    assert first["rests"] >= 3


@pytest.mark.guest
def test_beside_a_boosted_process_only_what_it_needs_is_hooked() -> None:
    calls = 200_000
    found = counted("sparing", str(loop_program()), str(calls))
    assert found["whole"] > 40
    for stage in "spared", "again", "last":
        assert 1 <= found[stage] < 10
    # All are hooked before anything else may be found, or begin.
    assert found["looked"] == found["loaded"] == found["whole"]
    # The region did not notice.
    assert found["kept"]
    assert found["dispatched"] >= 0.99 * calls
    assert found["said"] == "left 0 r8 1111 r12 2222 rcx resume"
