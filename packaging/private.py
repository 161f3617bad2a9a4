#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""``private.py DIRECTORY WHEELS``: what the package has in /usr/lib/ubypass.

The tool with the sources that it builds from, and beside it the packages that are in
the wheels of ``WHEELS``. Needs Python's own library alone. Nothing is compiled here.
"""

from __future__ import annotations

import shutil
import sys
import zipfile
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
#: What was built in the checkout, and what only its readers need.
_LEFT_OUT = ("__pycache__", "*.so", "*.o", "*.ko", "*.mod*", "*.cmd", "README.md")


def copy_tool(destination: Path) -> None:
    """The package ubypass, with the sources that its links lead to."""
    shutil.copytree(
        _ROOT / "src" / "ubypass",
        destination / "ubypass",
        ignore=shutil.ignore_patterns(*_LEFT_OUT),
    )


def unpack(wheel: Path, destination: Path) -> None:
    """The importable part of a wheel; raises SystemExit if that is not all there is."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            top, _, rest = name.partition("/")
            if top.endswith(".data"):
                raise SystemExit(f"{wheel.name}: {top} would have to be installed, too")
            # Headers and types are for those who build with it; its licence is in the
            # package's copyright file.
            wanted = rest and not top.endswith((".dist-info", ".libs"))
            if wanted and not rest.startswith("include/") and not rest.endswith(".pyi"):
                archive.extract(name, destination)


def main() -> int:
    """Fill the directory."""
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    destination, wheels = map(Path, sys.argv[1:])
    copy_tool(destination)
    found = sorted(wheels.glob("*.whl"))
    if not found:
        raise SystemExit(
            f"there is no wheel in {wheels}: packaging/deb.py fetches them"
        )
    for wheel in found:
        unpack(wheel, destination)
    return 0


if __name__ == "__main__":
    sys.exit(main())
