# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import subprocess

from ubypass.bench.workloads import build_workload


def test_prints_times_of_an_instruction() -> None:
    out = subprocess.run(
        [build_workload("tick")], check=True, capture_output=True, text=True
    ).stdout
    times = [float(line) for line in out.split()]
    assert len(times) == 5
    assert all(0.01 < time < 1000 for time in times)
