# SPDX-License-Identifier: GPL-2.0-only
"""The FPU never shows where translated x87 instructions stand, in the lab."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from ubypass.lab import kernels
from ubypass.lab.options import LabOptions
from ubypass.lab.run import capture
from ubypass.module.build import build_module

_HERE = Path(__file__).parent
_ROOT = _HERE.parent.parent
_CALLS = 2000


# Emulated, a processor is AMD's unless it is told otherwise.
@pytest.mark.guest
@pytest.mark.parametrize("vendor", ["GenuineIntel", "AuthenticAMD"])
def test_address_of_the_last_instruction(vendor: str) -> None:
    release = kernels.default_release()
    module = build_module(release, _ROOT / "kernel", _ROOT / "build/kernel" / release)
    program = _ROOT / "build/tests/x87"
    program.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["gcc", "-O2", "-o", program, _HERE / "x87.c"], check=True)
    script = f"insmod $1 && python tests/kernel/x87.py $2 {_CALLS}"
    result = capture(
        ["sh", "-c", script, "sh", str(module), str(program)],
        LabOptions(
            cpu=f"max,vendor={vendor}",
            environment={"UBYPASS_CHECKOUT": "1", "PYTHONPATH": str(_ROOT)},
        ),
    )
    output = result.stdout.decode()
    assert result.status == 0, output + result.stderr.decode()
    assert not result.log_problems
    usable = vendor == "GenuineIntel"
    assert f"usable {usable}\n" in output
    lines = [line for line in output.splitlines() if line.startswith("status")]
    assert len(lines) == 2
    for line in lines:
        assert f"status 0; wrong 0 sum {_CALLS}" in line
    assert f"x87 {usable} " in lines[1]
    if usable:
        runs = re.search(r"runs (\d+)", lines[1])
        assert runs
        assert int(runs[1]) >= 0.99 * _CALLS
