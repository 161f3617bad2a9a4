# SPDX-License-Identifier: GPL-2.0-only
"""A program that rests since it would lose is boosted once it would gain."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace

import pytest

from tests.guest.conftest import prepare
from tests.guest.program import PROGRAMS
from tests.patient import PATIENT
from tests.places import ROOT
from ubypass.lab.run import capture

_SCRIPT = (
    '"$1" -m ubypass.cli.main module load >&2 && exec "$1" -m tests.guest.gaining "$2"'
)


@pytest.mark.guest
def test_what_begins_to_gain_at_rest_is_boosted() -> None:
    prepare()
    program = str(PROGRAMS / "gaining")
    result = capture(
        ["sh", "-c", _SCRIPT, "sh", sys.executable, program],
        replace(
            PATIENT,
            icount=True,
            environment={"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])},
        ),
    )
    output = result.stdout.decode()
    print(output, result.stderr.decode())
    assert result.status == 0
    assert not result.log_problems
    found = json.loads(output.splitlines()[-1])
    assert found["rested"]
    assert found["uncounted"] > 0
    # Most calls; a look comes soon here.
    assert found["boosted"], found
    assert found["looks"] >= 1
