# SPDX-License-Identifier: GPL-2.0-only
"""Single-stepping a gap: what is learned by it, and that the program cannot see it."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.kernel.counted import built
from tests.patient import PATIENT
from ubypass.lab.run import capture

_HERE = Path(__file__).parent
_ROOT = _HERE.parent.parent
_ROUNDS = 4000
_SITES = 10  # of each kind, as in step.c
# Unhooking takes a moment; whoever is being stepped must not keep the module for ever.
_SCRIPT = """
insmod $1 && python tests/kernel/step.py $2/step $3 &&
	python tests/kernel/step.py $2/together 100000 1000 || exit 1
for try in $(seq 100); do rmmod ub && exit; sleep 0.1; done
exit 1
"""


@pytest.mark.guest
def test_ways_are_found_and_the_program_sees_no_trap_flag() -> None:
    module = built()
    programs = _ROOT / "build/tests"
    programs.mkdir(parents=True, exist_ok=True)
    for name in ("step", "together"):
        source = _HERE / f"{name}.c"
        subprocess.run(["gcc", "-O2", "-o", programs / name, source], check=True)
    result = capture(
        ["sh", "-c", _SCRIPT, "sh", str(module), str(programs), str(_ROUNDS)],
        replace(
            PATIENT, environment={"UBYPASS_CHECKOUT": "1", "PYTHONPATH": str(_ROOT)}
        ),
    )
    output = result.stdout.decode()
    assert result.status == 0, output + result.stderr.decode()
    assert not result.log_problems
    each = _ROUNDS * _SITES
    # Trap flags in pushf, in r11 after a call, in interrupted code: none; its own
    # breakpoints, faults and steps: all of them, and no more.
    assert f"seen 0 0 0 of {6 * each + _ROUNDS} calls, " in output
    assert f" calls, {each} traps, {each} faults, {4 * each} steps\n" in output
    found = re.search(r"paths (\d+) right (\d+) sites (\d+)", output)
    assert found
    paths, right, sites = map(int, found.groups())
    assert paths == right
    assert sites > _SITES
    # Up to a pushf or a breakpoint; to the next call, past a call and a return; and
    # through 40 turns of a loop. The last instruction has not run.
    lengths = set(map(int, output.splitlines()[2].split()[1:]))
    assert lengths >= {4, 10, 86}
    # One is traced at a time; the others wait for their turn before they are told of.
    # That they were called seldom before does not make them so for ever.
    assert "hot 8 traced 8 prompt 8\n" in output
