# SPDX-License-Identifier: GPL-2.0-only
"""Breakpoints of perf, old and present, while gaps of a program are stepped."""

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
_LONGEST = 2048  # steps, as path_steps is by default


def _stepped(what: str, seconds: int) -> tuple[list[str], set[int]]:
    """What ``breakpoints WHAT SECONDS`` printed, and how long the ways found were."""
    module = built()
    program = _ROOT / "build/tests/breakpoints"
    program.parent.mkdir(parents=True, exist_ok=True)
    source = _HERE / "breakpoints.c"
    subprocess.run(
        ["gcc", "-O2", "-Wall", "-Werror", "-pthread", "-o", program, source],
        check=True,
    )
    script = 'insmod $1 && exec python tests/kernel/step.py "$2" "$3"'
    result = capture(
        ["sh", "-c", script, "sh", str(module), f"{program} {what}", str(seconds)],
        replace(
            PATIENT, environment={"UBYPASS_CHECKOUT": "1", "PYTHONPATH": str(_ROOT)}
        ),
    )
    output = result.stdout.decode()
    print(output, result.stderr.decode())
    assert result.status == 0, output + result.stderr.decode()
    assert not result.log_problems
    lengths = re.search(r"^lengths (.*)$", output, re.MULTILINE)
    assert lengths
    return output.splitlines(), set(map(int, lengths[1].split()))


@pytest.mark.guest
def test_breakpoints_that_are_gone_do_not_kill_a_program() -> None:
    said, lengths = _stepped("stale", 3)
    # All four had been in debug registers, and their functions lie on stepped ways.
    assert said[0] == "fired 4, 3 steps, known"
    assert max(lengths) >= 4


@pytest.mark.guest
def test_breakpoints_fire_in_stepped_gaps() -> None:
    said, lengths = _stepped("live", 5)
    watched = re.fullmatch(r"watched (\d+) times, wrong 0, fired yes", said[0])
    assert watched
    # Each stepped way takes much longer than there is between two of them.
    assert int(watched[1]) > 100
    assert max(lengths) == _LONGEST
    assert said[1] == "trap flags seen 0"
