# SPDX-License-Identifier: GPL-2.0-only
"""What the module costs where it brings nothing, in instructions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ubypass.bench.workloads import build_workload
from ubypass.lab import kernels
from ubypass.lab.options import LabOptions
from ubypass.lab.run import capture
from ubypass.module.build import build_module

_ROOT = Path(__file__).parents[2]
_SCRIPT = "insmod $1 && exec python tests/kernel/overhead.py $2"


@pytest.mark.guest
def test_what_is_not_worth_it_costs_next_to_nothing() -> None:
    release = kernels.default_release()
    module = build_module(release, _ROOT / "kernel", _ROOT / "build/kernel" / release)
    result = capture(
        ["sh", "-c", _SCRIPT, "sh", str(module), str(build_workload("ioloop"))],
        LabOptions(
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
    cost = json.loads(output.splitlines()[-1])
    assert cost["native"] <= cost["asleep"] <= cost["native"] + 25
    assert cost["native"] <= cost["resting"] <= cost["native"] + 14
    assert cost["changed"] <= 9
    assert cost["native"] <= cost["useless"] <= cost["native"] + 30
    # Nothing of it is left.
    assert abs(cost["again"] - cost["native"]) <= 2
