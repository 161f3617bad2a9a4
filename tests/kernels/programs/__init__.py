# SPDX-License-Identifier: GPL-2.0-only
"""Programs that run in the guest and check themselves, compiled on the host."""

from __future__ import annotations

import subprocess
from pathlib import Path

__all__ = ["PROGRAMS", "compile_programs"]

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[2]

#: Where they are, by the name of their source.
PROGRAMS = _ROOT / "build" / "tests" / "kernels"


def compile_programs() -> None:
    """Compile all of them. Raises CalledProcessError."""
    PROGRAMS.mkdir(parents=True, exist_ok=True)
    for source in (_ROOT / "tests" / "kernel" / "loop.c", *sorted(_HERE.glob("*.c"))):
        program = str(PROGRAMS / source.stem)
        command = ["gcc", "-O2", "-pthread", "-o", program, str(source)]
        subprocess.run(command, check=True)
