# SPDX-License-Identifier: GPL-2.0-only
"""A module as for a kernel with indirect branch tracking (IBT), in the lab.

The lab's processors have no IBT, so that a missing landing is not found here but in
`tests.ibt`: this shows that runs and calls of handlers go through landings to where
they should, on a kernel that believes to be on such a processor, and what that costs.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.kernel.loop import loop_program
from tests.patient import PATIENT
from tests.places import ROOT
from ubypass.bench.workloads import build_workload
from ubypass.lab import kernels
from ubypass.lab.run import capture
from ubypass.module.build import build_module

_CALLS = 200_000
#: As the kernel builds modules where CONFIG_X86_KERNEL_IBT is on; Debian's 6.1 has it
#: off.
_CONFIGURED = "-DCONFIG_X86_KERNEL_IBT=1"
_TRACKING = f"{_CONFIGURED} -fcf-protection=branch -fno-jump-tables"

_SCRIPT = f"""
leave() {{
    for try in $(seq 1000); do rmmod ub 2>/dev/null && return; sleep 0.1; done
    rmmod ub
}}
for on in 0 1; do
    insmod $1 name=ibt on=$on && insmod $2 || exit 1
    python -m tests.kernel.handmade $3 {_CALLS} || exit 1
    python -m tests.kernel.landings $4 || exit 1
    leave && rmmod ub_cpu_flag || exit 1
done
"""


@pytest.mark.guest
def test_runs_and_calls_go_through_landings(monkeypatch: pytest.MonkeyPatch) -> None:
    release = kernels.default_release()
    builds = ROOT / "build/tests/landings" / release
    source = Path(__file__).parent / "cpu_flag"
    flag = build_module(release, source, builds / "flag")
    with monkeypatch.context() as patch:
        patch.setenv("KCFLAGS", _TRACKING)
        patch.setenv("KAFLAGS", _CONFIGURED)
        module = build_module(release, ROOT / "kernel", builds / "tracking")
    files = flag, module, loop_program("loop"), build_workload("ioloop")
    environment = {"UBYPASS_CHECKOUT": "1", "PYTHONPATH": str(ROOT)}
    result = capture(
        ["sh", "-c", _SCRIPT, "sh", *map(str, files)],
        replace(PATIENT, icount=True, environment=environment),
    )
    output = result.stdout.decode()
    print(output)
    assert result.status == 0, output + result.stderr.decode()
    assert not result.log_problems
    assert result.dmesg.count("ub: self-test passed: ") == 2
    lines = [line for line in output.splitlines() if line.startswith("status")]
    assert len(lines) == 2
    for line in lines:
        assert "status 0; left 0 r8 1111 r12 2222 rcx resume" in line
        assert " refused 4 " in line
        dispatched = re.search(r"dispatched (\d+)", line)
        assert dispatched
        assert int(dispatched[1]) >= 0.99 * _CALLS
    without, tracked = map(json.loads, re.findall(r"^\{.*\}$", output, re.MULTILINE))
    for each in without, tracked:
        assert each["dispatched"] >= 0.999 * each["runs"] > 0
    # An endbr64 and a jump each for the run and the call, whose landing is loaded in
    # place of a no-op.
    assert tracked["cost"] - without["cost"] == pytest.approx(4, abs=1)
