# SPDX-License-Identifier: GPL-2.0-only
"""Compiles a static program against musl, wherever its files have been unpacked."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from ubypass.errors import UbError

__all__ = ["build_static"]

_TARGET = "x86_64-linux-musl"


def build_static(source: Path, program: Path, roots: Sequence[Path]) -> None:
    """Compile ``source``; musl is below one of ``roots``. Raises UbError."""
    for root in roots:
        libraries = root / "usr" / "lib" / _TARGET
        if (libraries / "crt1.o").exists():
            break
    else:
        raise UbError("musl is not there", "apt install musl-dev")
    command = ["cc", "-O2", "-Wall", "-static", "-no-pie", "-nostdinc", "-nostdlib"]
    command += ["-isystem", str(root / "usr" / "include" / _TARGET), "-o", str(program)]
    command += [str(libraries / "crt1.o"), str(libraries / "crti.o"), str(source)]
    command += [f"-L{libraries}", "-lc", "-lgcc", str(libraries / "crtn.o")]
    program.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise UbError(f"{source.name} does not compile with musl: {done.stderr}")
