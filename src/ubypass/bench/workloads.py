# SPDX-License-Identifier: GPL-2.0-only
"""Compile the C programs of ``workloads/``; independent of what they measure."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ubypass import child
from ubypass.errors import UbError
from ubypass.files import must_be_changeable
from ubypass.places import build_dir, workload_sources

__all__ = ["build_program", "build_workload", "build_workloads", "is_current"]

#: Plain optimised code, as in a distribution; Debian's gcc makes position-independent
#: programs with lazy binding from this.
CFLAGS = ("-O2", "-Wall", "-Wextra", "-pthread")

_WORKLOADS = (
    *("ioloop", "gapcount", "gaptrace", "tick"),
    *("rawudp", "ringudp", "xskudp", "getload"),
)


@dataclass(frozen=True, slots=True)
class _Library:
    """A library besides libc that a workload needs, and its Debian package."""

    header: str
    flag: str
    package: str


_NEEDS = {"uring": _Library("liburing.h", "-luring", "liburing-dev")}


def build_workloads(out: Path | None = None) -> list[Path]:
    """Compile every workload that is older than its source; the programs.

    Workloads whose library is not installed are left out. Raises UbError.
    """
    here = (name for name, library in _NEEDS.items() if _has(library))
    return [build_workload(name, out) for name in (*_WORKLOADS, *here)]


def build_workload(name: str, out: Path | None = None) -> Path:
    """The program ``name``, compiled into ``out`` (default: see `places.build_dir`)."""
    source = workload_sources() / f"{name}.c"
    if not source.is_file():
        raise UbError(
            f"there is no workload '{name}'",
            f"the workloads are in {source.parent}",
        )
    program = (out or build_dir() / "workloads") / name
    library = _NEEDS.get(name)
    if library is None:
        return build_program(source, program)
    if not is_current(source, program) and not _has(library):
        raise UbError(
            f"cannot compile {source.name}: {library.header} is missing",
            f"apt install {library.package}",
        )
    return build_program(source, program, libraries=(library.flag,))


def build_program(
    source: Path, program: Path, *flags: str, libraries: Sequence[str] = ()
) -> Path:
    """Compile ``source`` to ``program`` unless the program is newer.

    Headers beside the source count as part of it. ``flags`` are appended to the usual
    ones, ``libraries`` (``-lm``) come last. Raises UbError with the compiler's output
    if that fails.
    """
    if is_current(source, program):
        return program
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise UbError(f"cannot compile {source.name}: no C compiler", "apt install gcc")
    program.parent.mkdir(parents=True, exist_ok=True)
    must_be_changeable(program.parent)
    # Under another name first: the program may be running, or built concurrently.
    fresh = program.with_name(f".{program.name}.{os.getpid()}")
    try:
        done = child.run(
            [compiler, *CFLAGS, *flags, str(source), *libraries, "-o", str(fresh)],
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
    """Whether ``program`` exists and is no older than its source and headers."""
    if not program.is_file():
        return False
    built = program.stat().st_mtime_ns
    parts = (source, *source.parent.glob("*.h"))
    return all(part.stat().st_mtime_ns <= built for part in parts)


def _has(library: _Library) -> bool:
    """Whether the compiler finds the library's header."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return False
    preprocess = [compiler, "-E", "-x", "c", "-include", library.header, "/dev/null"]
    done = child.run(
        preprocess,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    status: int = done.returncode
    return status == 0
