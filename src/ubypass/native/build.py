# SPDX-License-Identifier: GPL-2.0-only
"""Builds the C library that runs code, once for each version of its sources."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from ubypass import child
from ubypass.errors import UbError
from ubypass.files import must_be_changeable
from ubypass.places import cache_dir

__all__ = ["library"]

# No vector registers, because those hold the state of the code under test; no stack
# protector, because it reads through fs, which is the user's while code runs.
_FLAGS = (
    *("-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-mgeneral-regs-only"),
    *("-fno-stack-protector", "-fcf-protection=none", "-Wall", "-Wextra", "-Werror"),
    *("-fno-tree-loop-distribute-patterns", "-Wl,-z,now", "-Wl,-z,noexecstack"),
)
_SUFFIXES = (".c", ".h", ".S")


@lru_cache(maxsize=1)
def library() -> Path:
    """The library's file. Raises UbError or OSError when it cannot be built here."""
    sources = sorted(
        (
            source
            for source in files("ubypass.native").iterdir()
            if source.name.endswith(_SUFFIXES)
        ),
        key=lambda source: source.name,
    )
    digest = hashlib.sha256(" ".join(_FLAGS).encode())
    for source in sources:
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    folder = cache_dir() / "native" / digest.hexdigest()[:16]
    target = folder / "native.so"
    if target.is_file():
        return target
    compiler = shutil.which("gcc")
    if compiler is None:
        raise UbError(
            "cannot build the native runner: gcc not found", "apt install gcc"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for source in sources:
        (folder / source.name).write_bytes(source.read_bytes())
    must_be_changeable(folder)
    units = [str(folder / s.name) for s in sources if not s.name.endswith(".h")]
    fresh = folder / f".native.{os.getpid()}.so"
    done = child.run(
        [compiler, *_FLAGS, "-o", str(fresh), *units],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise UbError(f"the native runner does not build:\n{done.stderr.strip()}")
    fresh.replace(target)
    return target
