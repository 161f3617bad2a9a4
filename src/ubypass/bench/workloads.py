# SPDX-License-Identifier: GPL-2.0-only
"""Compile the C programs of ``workloads/``; knows nothing of what they measure."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ubypass import child
from ubypass.errors import UbError
from ubypass.files import must_be_changeable
from ubypass.places import build_dir, workload_sources

__all__ = ["build_program", "build_workload", "build_workloads", "is_current"]

#: Plain optimised code, as a distribution would ship it; Debian's gcc makes
#: position-independent programs with lazy binding from this.
CFLAGS = ("-O2", "-Wall", "-Wextra", "-pthread")

_WORKLOADS = ("ioloop", "gapcount", "gaptrace", "rawudp", "tick")


def build_workloads(out: Path | None = None) -> list[Path]:
    """Compile every workload that is older than its source; the programs."""
    return [build_workload(name, out) for name in _WORKLOADS]


def build_workload(name: str, out: Path | None = None) -> Path:
    """The program ``name``, compiled into ``out`` (default: see `places.build_dir`)."""
    source = workload_sources() / f"{name}.c"
    if not source.is_file():
        raise UbError(
            f"there is no workload '{name}'",
            f"those there are lie in {source.parent}",
        )
    return build_program(source, (out or build_dir() / "workloads") / name)


def build_program(source: Path, program: Path, *flags: str) -> Path:
    """Compile ``source`` to ``program`` unless that is newer already.

    Headers beside the source count as part of it. ``flags`` are added to the usual
    ones. Raises UbError with the compiler's words if it does not compile.
    """
    if is_current(source, program):
        return program
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise UbError(f"cannot compile {source.name}: no C compiler", "apt install gcc")
    program.parent.mkdir(parents=True, exist_ok=True)
    must_be_changeable(program.parent)
    # Under another name first: the program may be running, or be built twice.
    fresh = program.with_name(f".{program.name}.{os.getpid()}")
    try:
        done = child.run(
            [compiler, *CFLAGS, *flags, str(source), "-o", str(fresh)],
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise UbError(f"{source.name} does not compile:\n{done.stderr.strip()}")
        fresh.rename(program)
    finally:
        fresh.unlink(missing_ok=True)
    return program


def is_current(source: Path, program: Path) -> bool:
    """Whether ``program`` is there and no older than what it is made of."""
    if not program.is_file():
        return False
    built = program.stat().st_mtime_ns
    parts = (source, *source.parent.glob("*.h"))
    return all(part.stat().st_mtime_ns <= built for part in parts)
