# SPDX-License-Identifier: GPL-2.0-only
"""Runs the stress in a fresh guest."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

from tests.patient import PATIENT
from tests.places import ROOT
from ubypass.lab.options import LabResult

__all__ = ["RESULT", "boot"]

#: The figures of the last run, as JSON.
RESULT = ROOT / "build" / "tests" / "soak.json"

_CPUS = 2
_PATIENCE = 3600.0  # seconds, for the end of all programs


def boot(
    run: Callable[..., LabResult],
    seconds: float,
    seed: str,
    *,
    pti: bool | None = None,
    cpu: str | None = None,
) -> LabResult:
    """Run it by ``run``, one of `ubypass.lab.run`. Raises UbError.

    ``pti``, ``cpu``: as of ``LabOptions``.
    """
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    options = replace(
        PATIENT,
        cpus=_CPUS,
        pti=pti,
        cpu=cpu,
        timeout=seconds + _PATIENCE,
        # A processor that hangs in the kernel ends the run.
        append=("softlockup_panic=1",),
        environment={"UBYPASS_CHECKOUT": "1", "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"},
    )
    command = [sys.executable, "-m", "tests.soak.inside", f"{seconds:g}", seed]
    return run([*command, str(RESULT)], options)
