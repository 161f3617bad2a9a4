# SPDX-License-Identifier: GPL-2.0-only
"""Runs a script in the lab with a module and loops in C."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

from tests.patient import PATIENT
from tests.places import ROOT
from ubypass.lab.options import LabResult
from ubypass.lab.run import capture

__all__ = ["loop_program", "run_loop"]


def loop_program(name: str = "loop") -> Path:
    """The program of ``NAME.c`` in this directory, built now."""
    program = ROOT / "build" / "tests" / name
    program.parent.mkdir(parents=True, exist_ok=True)
    source = ROOT / "tests" / "kernel" / f"{name}.c"
    subprocess.run(["gcc", "-O2", "-o", program, source], check=True)
    return program


def run_loop(script: str, module: Path) -> LabResult:
    """``script`` is given the paths of the module, and of the programs of ``loop.c``,
    ``long.c`` and ``pairs.c``.
    """
    programs = [loop_program(name) for name in ("loop", "long", "pairs")]
    environment = {
        "UBYPASS_CHECKOUT": "1",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}",
    }
    return capture(
        ["sh", "-c", script, "sh", str(module), *map(str, programs)],
        replace(PATIENT, environment=environment),
    )
