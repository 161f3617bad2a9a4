# SPDX-License-Identifier: GPL-2.0-only
"""Builds the C library and other C programs, once for each version of their sources."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from ubypass import child
from ubypass.errors import UbError
from ubypass.files import must_be_changeable
from ubypass.places import cache_dir

__all__ = ["compile_once", "library", "run_compiler"]

# No vector registers: they hold the state of the code under test. No stack protector:
# it reads through fs, which is the user's while code runs.
_FLAGS = (
    *("-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-mgeneral-regs-only"),
    *("-fno-stack-protector", "-fcf-protection=none", "-Wall", "-Wextra", "-Werror"),
    *("-fno-tree-loop-distribute-patterns", "-Wl,-z,now", "-Wl,-z,noexecstack"),
)
_SUFFIXES = (".c", ".h", ".S")


@lru_cache(maxsize=1)
def library() -> Path:
    """The library's file. Raises UbError or OSError if it cannot be built here."""
    sources = {
        source.name: source.read_bytes()
        for source in files("ubypass.native").iterdir()
        if source.name.endswith(_SUFFIXES)
    }
    units = sorted(name for name in sources if not name.endswith(".h"))
    return compile_once("native.so", sources, units, _FLAGS)


def compile_once(
    name: str,
    sources: Mapping[str, bytes],
    units: Sequence[str],
    flags: Sequence[str],
    prepare: Callable[[Path], None] | None = None,
) -> Path:
    """The file ``name``, compiled from ``units`` among ``sources`` unless it exists.

    The file is in the user's cache, in a folder for these sources and flags.
    ``prepare`` is called with the folder before compiling and may add files. Raises
    UbError or OSError.
    """
    digest = hashlib.sha256(" ".join(flags).encode())
    for source, content in sorted(sources.items()):
        digest.update(source.encode() + b"\0" + content)
    folder = cache_dir() / "native" / digest.hexdigest()[:16]
    target = folder / name
    if target.is_file():
        return target
    _compiler()
    for source, content in sources.items():
        (folder / source).parent.mkdir(parents=True, exist_ok=True)
        (folder / source).write_bytes(content)
    must_be_changeable(folder)
    if prepare is not None:
        prepare(folder)
    fresh = folder / f".{os.getpid()}.{name}"
    run_compiler(
        name,
        [
            *flags,
            "-I",
            str(folder),
            "-o",
            str(fresh),
            *(str(folder / u) for u in units),
        ],
    )
    fresh.replace(target)
    return target


def run_compiler(what: str, arguments: Sequence[str]) -> None:
    """Run gcc. Raises UbError with gcc's messages if ``what`` does not build."""
    done = child.run(
        [_compiler(), *arguments],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise UbError(f"{what} does not build:\n{done.stderr.strip()}")


def _compiler() -> str:
    compiler = shutil.which("gcc")
    if compiler is None:
        raise UbError(
            "cannot compile the native runner: gcc not found", "apt install gcc"
        )
    return compiler
