# SPDX-License-Identifier: GPL-2.0-only
"""What the module costs where it brings nothing, in instructions."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kernel.counted import counted
from ubypass.bench.workloads import build_program, build_workload

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]
_PROGRAMS = _HERE.parent / "guest" / "programs"
_BUILT = _ROOT / "build" / "tests" / "guest"


@pytest.mark.guest
@pytest.mark.stock("instructions are counted")
def test_what_is_not_worth_it_costs_next_to_nothing() -> None:
    program = str(build_workload("ioloop"))
    cost = counted("overhead", program, unloaded=True)
    # Nothing at all for anybody while nothing is attached.
    assert abs(cost["native"] - cost["unloaded"]) <= 1
    # For a process that is not attached: from the handler to the trampoline and back.
    assert 4 <= cost["beside"] - cost["native"] <= 12
    assert cost["native"] <= cost["parked"] <= cost["native"] + 25
    assert cost["native"] <= cost["idle"] <= cost["native"] + 14
    assert cost["changed"] <= 9 / 4  # nine epochs
    assert cost["native"] <= cost["useless"] <= cost["native"] + 30
    # A run with one call costs a run, four instructions of the region, and a dispatch.
    dispatch = cost["two"] - cost["one"]
    assert 0 < cost["one"] - cost["native"] - dispatch <= 250
    # An entry from which nothing is dispatched is given up: 128 runs, a few times.
    assert 128 <= cost["vain"] <= 1_000
    # Nothing of it is left.
    assert abs(cost["again"] - cost["native"]) <= 2


@pytest.mark.guest
@pytest.mark.stock("instructions are counted")
def test_what_a_filter_costs_at_a_dispatch() -> None:
    loop = build_program(_HERE / "loop.c", _BUILT / "loop")
    launcher = build_program(_PROGRAMS / "filter.c", _BUILT / "filter")
    cost = counted("filters", str(loop), str(launcher))
    print(cost)
    # A dispatch asks in fewer instructions than the entry code does.
    for kind, most in ("bitmap", 8), ("run", 120):
        dearer = cost[f"{kind} boosted"] - cost["none boosted"]
        assert 0 < dearer <= most
        assert dearer < cost[f"{kind} native"] - cost["none native"]
    # Whether a region pays is judged by what its gaps take with filters.
    assert cost["run timed"] - cost["none timed"] >= 60
    assert 0 <= cost["bitmap timed"] - cost["none timed"] <= 40


@pytest.mark.guest
@pytest.mark.stock("instructions are counted")
def test_bursts_of_calls_do_not_keep_a_process_active() -> None:
    cost = counted("bursts")
    # Twenty more when it does not rest; turns of Python differ by two.
    assert cost["native"] <= cost["idle"] <= cost["native"] + 16
