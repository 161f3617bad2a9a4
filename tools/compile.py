#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Compile the packages that translation spends its time in, in place, with mypyc.

The same sources run without it, about three times slower. Compiled modules lie next
to their sources and go before them on import, so whoever edits a source compiles it
again (``make prepare`` does) or removes them (``tools/compile.py --remove``).
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_PACKAGES = ("region", "translate", "verify")
# mypyc has no runtime-checkable protocols, and names for type checkers are no code.
_PLAIN = frozenset({"__init__.py", "reader.py", "iced.py"})
_FLAGS = ("-fvisibility=hidden", "-fno-semantic-interposition", "-fno-plt")


def sources() -> list[Path]:
    """The modules to compile, relative to the source directory."""
    base = _ROOT / "src" / "ubypass"
    found = [base / "abi.py"]
    for package in _PACKAGES:
        found += (p for p in (base / package).glob("*.py") if p.name not in _PLAIN)
    return sorted(path.relative_to(_ROOT / "src") for path in found)


def compiled() -> list[Path]:
    """Compiled modules, of whatever Python and sources; all that is imported."""
    base = _ROOT / "src"
    return sorted([*base.glob("*.so"), *(base / "ubypass").rglob("*.so")])


def stale() -> bool:
    """Whether something has to be compiled."""
    newest = max(path.stat().st_mtime for path in _inputs())
    present = {path.name.split(".")[0]: path for path in compiled()}
    return any(
        path.stem not in present or present[path.stem].stat().st_mtime < newest
        for path in sources()
    )


def _inputs() -> list[Path]:
    return [Path(__file__), *(_ROOT / "src" / path for path in sources())]


def build() -> None:
    """Compile everything; raises SystemExit when that fails."""
    from mypyc.build import mypycify
    from setuptools import setup

    os.chdir(_ROOT / "src")
    work = _ROOT / "build" / "compiled"
    work.mkdir(parents=True, exist_ok=True)
    options = ["--config-file", str(_ROOT / "tools" / "compile.ini")]
    extensions = mypycify(
        [*options, *map(str, sources())],
        opt_level="2",
        debug_level="0",
        multi_file=True,
        target_dir=str(work),
    )
    for extension in extensions:
        # Python finds what it needs by name; all other calls stay inside.
        extension.extra_compile_args += _FLAGS
    setup(
        name="ubypass-compiled",
        packages=[],
        ext_modules=extensions,
        script_args=[
            "--quiet",
            "build_ext",
            "--inplace",
            f"--build-temp={work}",
            f"--build-lib={work / 'lib'}",
            f"--parallel={os.cpu_count() or 1}",
        ],
    )


def remove() -> None:
    """Go back to the sources alone."""
    for path in compiled():
        path.unlink()


def main() -> int:
    """Compile what is not up to date."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--remove", action="store_true", help="remove, do not compile")
    if parser.parse_args().remove:
        remove()
    elif stale():
        print("ubypass: compiling the translator (once, about a minute)", flush=True)
        remove()
        build()
    return 0


if __name__ == "__main__":
    sys.exit(main())
