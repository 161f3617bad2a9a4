# SPDX-License-Identifier: GPL-2.0-only
"""A boosted loop that never sleeps does not hold up those who wait for all tasks.

Natively each system call ends in user mode, where the kernel's tick finds the task. In
runs it is in the kernel all the time: ftrace, kprobes and BPF would wait for it without
end.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest

from tests.kernels.programs import PROGRAMS, compile_programs
from tests.patient import PATIENT
from tests.places import ROOT
from ubypass.lab import kernels
from ubypass.lab.run import capture
from ubypass.module.build import build_module
from ubypass.places import kernel_sources, module_file

pytestmark = pytest.mark.guest

_SECONDS = 24


def test_waiting_for_all_tasks_ends() -> None:
    release = kernels.default_release()
    compile_programs()
    module = build_module(release, kernel_sources(), module_file(release).parent)
    command = [sys.executable, "-m", "tests.kernel.rcu_tasks"]
    command += [str(PROGRAMS / "endless"), str(_SECONDS)]
    environment = {"UBYPASS_CHECKOUT": "1", "PYTHONPATH": str(ROOT)}
    options = replace(PATIENT, kernel=release, environment=environment)
    script = 'insmod "$1" && shift && exec "$@"'
    result = capture(["sh", "-c", script, "sh", str(module), *command], options)
    said = result.stdout.decode()
    print(said, result.stderr.decode())
    assert not result.log_problems
    found = json.loads(said.splitlines()[-1])
    assert found["status"] == 0
    assert not found["ended"]
    assert found["share"] > 0.5
    # As long as natively: a few ticks of the kernel, and a busy host.
    assert max(found["waited"]) < _SECONDS / 4
