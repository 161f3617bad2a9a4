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
_SUMMARY = ROOT / "build" / "tests" / "dd.json"
#: The readme's first example comes last: it runs for as long as it takes to gain.
_SCRIPT = (
    '"$1" -m ubypass.cli.main module load >&2 && '
    'python=$1 summary=$2 && shift 2 && "$python" -m tests.guest.short 2 "$@" && '
    'exec "$python" -m ubypass.cli.main run --summary-file="$summary" -- '
    "dd if=/dev/zero of=/dev/null bs=64 count=3000000 >&2"
)


@pytest.fixture(scope="module")
def output() -> str:
    prepare()
    _SUMMARY.parent.mkdir(parents=True, exist_ok=True)
    _SUMMARY.unlink(missing_ok=True)
    result = capture(
        ["sh", "-c", _SCRIPT, "sh", sys.executable, str(_SUMMARY), *_CASES],
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
    return output


@pytest.mark.guest
@pytest.mark.stock("instructions are counted")
def test_short_programs_do_not_pay_for_being_attached(output: str) -> None:
    records = {each["case"]: each for each in map(json.loads, output.splitlines())}
    assert records.keys() == set(_CASES)
    assert records.keys() <= short.CASES.keys()
    for record in records.values():
        # Runs differ by almost a percent, and what else happens only adds to them.
        native, attached = map(min, record["each"])
        assert attached <= 1.005 * native, record


@pytest.mark.guest
@pytest.mark.stock("instructions are counted")
def test_a_program_that_runs_for_some_seconds_gains(output: str) -> None:
    (process,) = json.loads(_SUMMARY.read_text())["processes"]
    # Some 0.8; the rest is from before its region was there.
    assert process["bypass_rate"] >= 0.5
    assert process["saved_ns"] > 0
