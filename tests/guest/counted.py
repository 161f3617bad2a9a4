# SPDX-License-Identifier: GPL-2.0-only
"""Runs a program of ``tests.guest`` in the lab, with instructions as its clock."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

from tests.guest.conftest import prepare
from tests.guest.program import PROGRAMS
from tests.patient import PATIENT
from tests.places import ROOT
from ubypass.lab.run import capture

__all__ = ["counted"]

_SCRIPT = (
    'python=$1; shift; "$python" -m ubypass.cli.main module load >&2 && '
    'exec "$python" -m "$@"'
)


def counted(name: str, *arguments: str) -> str:
    """What ``tests.guest.NAME`` prints, given the program NAME and ``arguments``."""
    prepare()
    program = str(PROGRAMS / name)
    words = sys.executable, f"tests.guest.{name}", program, *arguments
    result = capture(
        ["sh", "-c", _SCRIPT, "sh", *words],
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
    return output
