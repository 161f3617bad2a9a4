#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Compile the packages that translation spends its time in with mypyc.

The same sources run without it, about three times slower. Compiled modules lie in
``build/compiled`` and are used only while their sources are what they were made from
(``ubypass.compiled``). A wheel has them beside their sources (``setup.py``).
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterable
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import TYPE_CHECKING

from ubypass.compiled import LIST, PARTS, fresh, record

if TYPE_CHECKING:
    from setuptools import Extension

_ROOT = Path(__file__).resolve().parents[1]
_SOURCE = _ROOT / "src"
_LIBRARY = _ROOT / "build" / "compiled"
# mypyc has no runtime-checkable protocols, and names for type checkers are no code.
_PLAIN = frozenset({"__init__.py", "reader.py", "iced.py"})
_FLAGS = ("-fvisibility=hidden", "-fno-semantic-interposition", "-fno-plt")


def sources() -> list[Path]:
    """The modules to compile, relative to the source directory.

    None outside of PARTS: a program may have imported such a one from source already,
    and then there would be two of it, each with classes of its own.
    """
    return [
        path
        for path in _inputs()
        if path.name not in _PLAIN and path.with_suffix("").parts[1] in PARTS
    ]


def _inputs() -> list[Path]:
    """All that compiled code depends on: constants of plain modules are copied."""
    base = _SOURCE / "ubypass"
    found = [base / "errors.py"]
    for part in PARTS:
        one = base / f"{part}.py"
        found += [one] if one.is_file() else (base / part).glob("*.py")
    return sorted(path.relative_to(_SOURCE) for path in found)


def stale() -> bool:
    """Whether something has to be compiled."""
    if ready(_SOURCE, _LIBRARY) is None:
        return True
    made = (_LIBRARY / LIST).stat().st_mtime
    tools = Path(__file__), _settings()
    return any(tool.stat().st_mtime > made for tool in tools)


def ready(source: Path, library: Path) -> list[str] | None:
    """Names of all that was compiled from ``source``; None if any is stale."""
    suffix = EXTENSION_SUFFIXES[0]
    names = [
        str(file.relative_to(library)).removesuffix(suffix).replace(os.sep, ".")
        for file in sorted(library.rglob(f"*{suffix}"))
    ]
    wanted = {".".join(path.with_suffix("").parts) for path in sources()}
    return names if fresh(source, library) and wanted <= set(names) else None


def extensions(paths: Iterable[Path], work: Path) -> list[Extension]:
    """What setuptools has to build for modules at ``paths``, from C in ``work``."""
    from mypyc.build import mypycify

    found: list[Extension] = mypycify(
        ["--config-file", str(_settings()), *map(str, paths)],
        opt_level="2",
        debug_level="0",
        multi_file=True,
        target_dir=str(work),
    )
    for extension in found:
        # Python finds what it needs by name; all other calls stay inside.
        extension.extra_compile_args = [*extension.extra_compile_args, *_FLAGS]
    return found


def build() -> None:
    """Compile everything; raises SystemExit when that fails."""
    from setuptools import setup

    os.chdir(_SOURCE)
    # Beside the old ones, which others may be using; on success they change places.
    work = _LIBRARY.with_name(f"compiled.{os.getpid()}")
    made_from = record(_SOURCE, _inputs())
    try:
        work.mkdir(parents=True)
        setup(
            name="ubypass-compiled",
            packages=[],
            ext_modules=extensions(sources(), work / "c"),
            script_args=[
                "--quiet",
                "build_ext",
                f"--build-temp={work / 'c'}",
                f"--build-lib={work / 'lib'}",
                f"--parallel={os.cpu_count() or 1}",
            ],
        )
        (work / "lib" / LIST).write_text(made_from, "utf-8")
        remove()
        (work / "lib").rename(_LIBRARY)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def remove() -> None:
    """Go back to the sources alone."""
    if _LIBRARY.exists():
        shutil.rmtree(_LIBRARY)
    # Versions before this one put them beside their sources, where they would win.
    for path in [*_SOURCE.glob("*.so"), *(_SOURCE / "ubypass").rglob("*.so")]:
        path.unlink()


def _settings() -> Path:
    return _ROOT / "tools" / "compile.ini"


def main() -> int:
    """Compile what is not up to date."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--remove", action="store_true", help="remove, do not compile")
    choice.add_argument(
        "--check", action="store_true", help="only say (by status 1) what is to be done"
    )
    args = parser.parse_args()
    if args.check:
        return 1 if stale() else 0
    if args.remove:
        remove()
    elif stale():
        build()
    return 0


if __name__ == "__main__":
    sys.exit(main())
