# SPDX-License-Identifier: GPL-2.0-only
"""``python -m tests.wheels [PYTHON...]``: compiled wheels, built, installed and used.

For each Python (the present one by default) as somebody does it: the wheel is built in
isolation from a copy of the checkout, installed with its dependencies into an empty
environment, and translates what the uncompiled sources translate, byte by byte.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.coverage.build import shared
from tests.packaging.programs import program

__all__ = ["CODE", "Failed", "files", "installed_wheel", "main", "translated"]

#: Of a library with a function whose first call is followed by another one.
CODE = """
.text
.globl f
.type f, @function
f: mov $39, %eax
syscall
g: mov (%rbx), %rcx
add %rcx, 8(%rbx)
dec %rbp
jnz f
ret
"""
#: Modules of each compiled package.
_MODULES = (
    *("ubypass.abi", "ubypass.words", "ubypass.region.discover"),
    *("ubypass.translate.translate", "ubypass.verify.check"),
)


class Failed(Exception):
    """Something is not right with a wheel, and what."""


def installed_wheel(python: str, place: Path) -> Path:
    """Build and install a compiled wheel in ``place``; the environment's Python."""
    tree = place / "checkout"
    program("deb").export(tree)
    pip = ["-m", "pip", "--disable-pip-version-check", "-q"]
    out = place / "wheels"
    _run(
        [python, *pip, "wheel", "--no-deps", "-w", str(out), str(tree)],
        {"UBYPASS_COMPILE": "1"},
    )
    (wheel,) = out.glob("*.whl")
    if "none-any" in wheel.name:
        raise Failed(f"{wheel.name} is for every Python: it is not compiled")
    print(f"  {wheel.name}, {wheel.stat().st_size / 1e6:.1f} MB", flush=True)
    _run([python, "-m", "venv", str(place / "venv")])
    own = str(place / "venv" / "bin" / "python")
    _run([own, *pip, "install", str(wheel)])
    return Path(own)


def translated(python: str | Path, library: Path, **more: str) -> Mapping[str, Any]:
    """What ``ub translate --json`` of a Python says of the library's function."""
    command = [str(python), "-m", "ubypass.cli.main", "translate", "--json"]
    found: dict[str, Any] = json.loads(_run([*command, str(library), "f+7"], more))
    return found


def files(python: str | Path, **more: str) -> Sequence[str]:
    """Where a Python has one module of each compiled package from."""
    script = f"import {', '.join(_MODULES)}; import sys\n"
    script += f"for name in {_MODULES}: print(sys.modules[name].__file__)"
    return _run([str(python), "-c", script], more).splitlines()


def _try(python: str, place: Path) -> None:
    own = installed_wheel(python, place)
    for file in files(own):
        if not file.startswith(str(place)) or not file.endswith(".so"):
            raise Failed(f"{file} runs, which is not compiled")
    library = shared(CODE, place)
    compiled = translated(own, library)
    if not compiled["verified"] or compiled["dispatches"] == []:
        raise Failed(f"a translation without sense: {compiled}")
    if compiled != translated(sys.executable, library, UBYPASS_PURE="1"):
        raise Failed("it translates something else than the sources do")
    print("  translates the same as the sources, compiled", flush=True)


def _run(words: Sequence[str], more: Mapping[str, str] | None = None) -> str:
    """What a program prints; raises Failed unless it succeeds."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("UBYPASS_")}
    done = subprocess.run(
        words,
        env={**environment, **(more or {})},
        cwd="/",
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise Failed(f"{' '.join(words[:5])}:\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


def main(arguments: Sequence[str] | None = None) -> int:
    """1 if something is not right with one."""
    parser = argparse.ArgumentParser(prog="tests.wheels", description=__doc__)
    parser.add_argument("pythons", nargs="*", metavar="PYTHON")
    args = parser.parse_args(arguments)
    for python in args.pythons or [sys.executable]:
        print(f"a compiled wheel for {python}", flush=True)
        with tempfile.TemporaryDirectory() as place:
            try:
                _try(python, Path(place))
            except Failed as error:
                print(f"FAILED: {error}", file=sys.stderr)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
