# SPDX-License-Identifier: GPL-2.0-only
"""What the module costs where it brings nothing, in instructions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.patient import PATIENT
from ubypass.bench.workloads import build_program, build_workload
from ubypass.lab import kernels
from ubypass.lab.run import capture
from ubypass.module.build import build_module

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]
_PROGRAMS = _HERE.parent / "guest" / "programs"
_BUILT = _ROOT / "build" / "tests" / "guest"
_SCRIPT = """
mount -t tracefs none /sys/kernel/tracing 2>/dev/null
insmod $1 && shift && exec python -m $*
"""
#: The program itself loads the module: the last argument is its path.
_SCRIPT_UNLOADED = """
mount -t tracefs none /sys/kernel/tracing 2>/dev/null
module=$1; shift; exec python -m $* $module
"""


def _measured(module: str, *arguments: str, script: str = _SCRIPT) -> dict[str, float]:
    """What tests.kernel.``module`` prints in the lab, with the machine counting."""
    release = kernels.default_release()
    built = build_module(release, _ROOT / "kernel", _ROOT / "build/kernel" / release)
    result = capture(
        ["sh", "-c", script, "sh", str(built), f"tests.kernel.{module}", *arguments],
        replace(
            PATIENT,
            icount=True,
            environment={
                "UBYPASS_CHECKOUT": "1",
                "PYTHONPATH": f"{_ROOT}:{_ROOT / 'src'}",
            },
        ),
    )
    output = result.stdout.decode()
    said = output + result.stderr.decode()
    print(said)
    assert result.status == 0, said
    assert not result.log_problems
    cost: dict[str, float] = json.loads(output.splitlines()[-1])
    return cost


@pytest.mark.guest
def test_what_is_not_worth_it_costs_next_to_nothing() -> None:
    program = str(build_workload("ioloop"))
    cost = _measured("overhead", program, script=_SCRIPT_UNLOADED)
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
def test_what_a_filter_costs_at_a_dispatch() -> None:
    loop = build_program(_HERE / "loop.c", _BUILT / "loop")
    launcher = build_program(_PROGRAMS / "filter.c", _BUILT / "filter")
    cost = _measured("filters", str(loop), str(launcher))
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
def test_bursts_of_calls_do_not_keep_a_process_active() -> None:
    cost = _measured("bursts")
    # Twenty more when it does not rest; turns of Python differ by two.
    assert cost["native"] <= cost["idle"] <= cost["native"] + 16
