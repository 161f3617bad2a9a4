# SPDX-License-Identifier: GPL-2.0-only
"""What a region on trial may take, in the lab, with the machine counting."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.counted import built
from tests.patient import PATIENT
from ubypass.lab.run import capture

_HERE = Path(__file__).parent
_ROOT = _HERE.parent.parent
_SCRIPT = "insmod $1 && shift && exec python -m tests.kernel.trial $*"

#: ns that the last run may go on after its slice: the timer, and the rest of one call.
#: Another thread's turn in between is not told from its own.
_SLACK = 20_000

_CREDIT = 300_000
_MORE = 500_000


def _played(*threads: int, icount: bool, cpus: int) -> list[dict[str, Any]]:
    module = built()
    program = _ROOT / "build/tests/trial"
    program.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["gcc", "-O2", "-pthread", "-o", program, _HERE / "trial.c"], check=True
    )
    result = capture(
        ["sh", "-c", _SCRIPT, "sh", str(module), str(program), *map(str, threads)],
        replace(
            PATIENT,
            icount=icount,
            cpus=cpus,
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
    return [json.loads(line) for line in output.splitlines() if line[:1] == "{"]


def _check(said: dict[str, Any]) -> None:
    """What holds whatever the clock counts."""
    loaded = said["loaded"]
    assert loaded.pop("state") == 1
    assert loaded.pop("left_ns") == _CREDIT
    assert not any(loaded.values())
    # A gap that was not taken was traced, for paths that the region lacks.
    assert said["path"][0] == said["resume"]
    # It was tried, then its credit was used up, and it is native.
    assert said["spent"]
    assert said["after"]["state"] == 2
    assert said["after"]["left_ns"] <= 0
    assert said["after"]["spent_ns"] == _CREDIT - said["after"]["left_ns"]
    assert said["then"]["dispatched"] == 0
    assert said["then"]["native"] > 100
    # More credit: it goes on, up to that.
    assert said["spent again"]
    after = said["after more"]
    assert after["state"] == 2
    if said["after"]["left_ns"] + _MORE > 0:  # else one run took it all
        assert after["runs"] > said["after"]["runs"]
    assert after["spent_ns"] == _CREDIT + _MORE - after["left_ns"]
    # Confirmed: no limit, and not timed.
    assert said["before confirming"] == after
    assert said["confirmed"]["dispatched"] > 10 * said["confirmed"]["native"]
    assert said["unlimited"]["state"] == 0
    assert said["unlimited"]["spent_ns"] == after["spent_ns"]
    # The lease ends by itself, also for runs that do not.
    assert said["lease"]
    assert said["lease over"]["state"] == 2
    assert said["after the lease"]["dispatched"] == 0
    assert said["renewed"]["dispatched"] > 10 * said["renewed"]["native"]
    # Renewed by the module, as long as it gains; it waits for who does nothing.
    assert said["gains"]["state"] == 0
    assert said["gains"]["dispatched"] > 10 * said["gains"]["native"]
    assert said["idle"]
    assert said["awake"]
    assert said["then gains"]["dispatched"] > 10 * said["then gains"]["native"]
    assert said["then gains"]["lost_ns"] == 0
    assert said["loses"]
    assert said["after losing"]["state"] == 2
    assert said["after losing"]["lost_ns"] > 0
    assert said["after losing"]["dispatched"] == 0
    # Back on trial.
    assert said["back"]
    assert said["after back"]["dispatched"] == 0
    # Another region in its place has a credit of its own.
    assert said["old is gone"]
    assert said["new"]
    assert said["after new"]["state"] == 2
    assert said["after new"]["spent_ns"] == _CREDIT - said["after new"]["left_ns"]
    assert said["unloaded"]["dispatched"] == 0
    assert said["unloaded"]["native"] > 100


@pytest.mark.guest
@pytest.mark.stock("instructions are counted")
def test_a_region_on_trial_takes_what_was_granted() -> None:
    for said in _played(1, 4, icount=True, cpus=1):
        _check(said)
        assert said["after"]["spent_ns"] <= _CREDIT + _SLACK
        assert said["after more"]["spent_ns"] <= _CREDIT + _MORE + _SLACK
        assert said["after new"]["spent_ns"] <= _CREDIT + _SLACK
        # So little tells what the gap costs both ways, and what a run is worth.
        (site,) = said["site"]
        assert site["boosted"] >= 3
        assert site["native"] >= 3
        assert site["runs"] >= 2
        assert site["dispatched"] >= 50 * site["runs"]
        # Without what the trial itself takes: 700.
        assert site["overhead"] <= 300


@pytest.mark.guest
def test_threads_on_several_processors_share_the_credit() -> None:
    for said in _played(1, 2, 8, icount=False, cpus=2):
        _check(said)
