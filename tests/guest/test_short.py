# SPDX-License-Identifier: GPL-2.0-only
"""What a program pays for being attached that is over before it can gain."""

from __future__ import annotations

import json
import os
import sys

import pytest

from tests.guest import short
from tests.guest.conftest import prepare
from tests.places import ROOT
from ubypass.lab.options import LabOptions
from ubypass.lab.run import capture

#: Rounds, and the cases that differ least from run to run. The others take minutes:
#: python -m tests.guest.short 3, in the lab.
_CASES = ("find", "du", "dd", "nginx")
_SCRIPT = (
    '"$1" -m ubypass.cli.main module load >&2 && '
    'shift && exec "$0" -m tests.guest.short 2 "$@"'
)


@pytest.mark.guest
def test_short_programs_do_not_pay_for_being_attached() -> None:
    prepare()
    result = capture(
        ["sh", "-c", _SCRIPT, sys.executable, sys.executable, *_CASES],
        LabOptions(
            icount=True,
            timeout=1800,
            environment={"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])},
        ),
    )
    output = result.stdout.decode()
    print(output, result.stderr.decode())
    assert result.status == 0
    assert not result.log_problems
    records = {each["case"]: each for each in map(json.loads, output.splitlines())}
    assert records.keys() == set(_CASES)
    assert records.keys() <= short.CASES.keys()
    for record in records.values():
        assert record["ratio"] <= 1.005, record
