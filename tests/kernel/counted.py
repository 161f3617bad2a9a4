# SPDX-License-Identifier: GPL-2.0-only
"""Runs a script of ``tests.kernel`` in the lab, with instructions as its clock."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.patient import PATIENT
from tests.places import ROOT
from ubypass.lab import kernels
from ubypass.lab.run import capture
from ubypass.module.build import build_module

__all__ = ["built", "counted"]

_TRACEFS = "mount -t tracefs none /sys/kernel/tracing 2>/dev/null\n"
_SCRIPT = _TRACEFS + "insmod $1 && shift && exec python -m $*"
#: The program itself loads the module: the last argument is its path.
_SCRIPT_UNLOADED = _TRACEFS + "module=$1; shift; exec python -m $* $module"


def built() -> Path:
    """The module for the lab's kernel."""
    release = kernels.default_release()
    return build_module(release, ROOT / "kernel", ROOT / "build/kernel" / release)


def counted(module: str, *arguments: str, unloaded: bool = False) -> dict[str, Any]:
    """What tests.kernel.``module`` prints; with ``unloaded`` it loads the module."""
    script = _SCRIPT_UNLOADED if unloaded else _SCRIPT
    result = capture(
        ["sh", "-c", script, "sh", str(built()), f"tests.kernel.{module}", *arguments],
        replace(
            PATIENT,
            icount=True,
            environment={
                "UBYPASS_CHECKOUT": "1",
                "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}",
            },
        ),
    )
    output = result.stdout.decode()
    said = output + result.stderr.decode()
    print(said)
    assert result.status == 0, said
    assert not result.log_problems
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found
