# SPDX-License-Identifier: GPL-2.0-only
"""A gap that shows known paths only is hardly traced again, whatever is loaded."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest

from tests.kernel.counted import built
from tests.patient import PATIENT
from ubypass.lab.run import capture

_HERE = Path(__file__).parent
_ROOT = _HERE.parent.parent
_SCRIPT = "insmod $1 && exec python -m tests.kernel.retrace $2"

#: In 40 regions, each of which was traced once or twice before: the first two or three
#: times, and then at every sixteenth opportunity, of which a region has two.
_MOST = 14
_REGIONS_UNTIL_NEXT = 9


@pytest.mark.guest
def test_known_paths_are_not_traced_again_and_again_and_new_ones_are_found() -> None:
    module = built()
    program = _ROOT / "build/tests/retrace"
    program.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["gcc", "-O2", "-o", program, _HERE / "retrace.c"], check=True)
    result = capture(
        ["sh", "-c", _SCRIPT, "sh", str(module), str(program)],
        replace(
            PATIENT,
            cpus=1,
            environment={
                "UBYPASS_CHECKOUT": "1",
                "PYTHONPATH": f"{_ROOT}:{_ROOT / 'src'}",
            },
        ),
    )
    output = result.stdout.decode()
    assert result.status == 0, output + result.stderr.decode()
    assert not result.log_problems
    said = json.loads(output)
    one, another = said["one path"], said["another path"]
    (length,) = set(chain(*one))
    assert 3 <= sum(map(len, one)) <= _MOST, one
    new = [n for n, lengths in enumerate(another) if set(lengths) - {length}]
    assert new, another
    assert new[0] < _REGIONS_UNTIL_NEXT, another
    assert sum(map(len, another)) <= _MOST, another
