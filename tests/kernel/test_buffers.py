# SPDX-License-Identifier: GPL-2.0-only
"""The CPU's buffers are cleared before user code where the kernel does so, only there.

The emulator has no such buffers: what is looked at is that the kernel of a processor
that needs it makes the module write ``verw``, and that programs run on.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.kernel.counted import built
from tests.patient import PATIENT
from ubypass.bench.workloads import build_program
from ubypass.lab.run import capture

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]
_SCRIPT = "insmod $1 && exec python -m tests.kernel.buffers $2"
# By its number a Skylake server, of which the kernel knows that it needs it, or one
# that needs nothing. SMAP, which the emulator has, shows where user code begins.
_NEEDS = "max,vendor=GenuineIntel,family=6,model=85,stepping=4,smap=on"
_NEEDS_NOT = "max,vendor=AuthenticAMD,smap=on"


def _found(cpu: str) -> dict[str, object]:
    module = built()
    program = build_program(_HERE / "trial.c", _ROOT / "build/tests/kernel/trial")
    path = f"{_ROOT}:{_ROOT / 'src'}"
    options = replace(
        PATIENT, cpu=cpu, environment={"UBYPASS_CHECKOUT": "1", "PYTHONPATH": path}
    )
    result = capture(["sh", "-c", _SCRIPT, "sh", str(module), str(program)], options)
    said = result.stdout.decode() + result.stderr.decode()
    print(said)
    assert result.status == 0, said
    assert not result.log_problems
    found: dict[str, object] = json.loads(result.stdout.decode().splitlines()[-1])
    return found


@pytest.mark.guest
def test_where_the_kernel_does_and_only_there() -> None:
    cleared, plain = _found(_NEEDS), _found(_NEEDS_NOT)
    # Nothing lies between it and the user's code but the opening of SMAP.
    assert cleared["verw"] == [0]
    assert cleared["entered"] is True
    assert plain["verw"] == []
    assert plain["entered"] is False
    # Of 32768 places the first one twice by chance: hardly ever.
    assert (cleared["place"], plain["place"]) != (0, 0)
    assert cleared["dispatched"]
    assert plain["dispatched"]
