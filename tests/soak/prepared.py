# SPDX-License-Identifier: GPL-2.0-only
"""What the host prepares, and where the guest finds it."""

from __future__ import annotations

from pathlib import Path

from tests.guest.foreign.packages import fetch
from tests.guest.program import PROGRAMS as GUEST_PROGRAMS
from tests.places import ROOT
from ubypass.bench.workloads import build_program
from ubypass.lab import kernels
from ubypass.module.build import build_module
from ubypass.places import kernel_sources, module_file

__all__ = ["DATA", "PACKAGE_LIST", "PROGRAMS", "prepare"]

#: In the guest: what programs read, on tmpfs.
DATA = Path("/dev/shm/soak-data")
#: Directories of unpacked packages, a line each.
PACKAGE_LIST = ROOT / "build" / "tests" / "soak-packages"
PROGRAMS = ROOT / "build" / "tests" / "soak"

_HERE = Path(__file__).parent / "programs"
_GUEST = ROOT / "tests" / "guest" / "programs"
_PACKAGES = ("stress-ng",)


def prepare() -> str:
    """Compile and fetch; the release that it is for. Raises UbError."""
    build_program(_HERE / "pages.c", PROGRAMS / "pages", "-pthread")
    for name in "spin", "storm":
        build_program(_GUEST / f"{name}.c", GUEST_PROGRAMS / name, "-pthread")
    trees = fetch(_PACKAGES, ROOT / "build" / "tests" / "packages")
    PACKAGE_LIST.write_text("".join(f"{tree}\n" for tree in trees))
    release = kernels.default_release()
    build_module(release, kernel_sources(), module_file(release).parent)
    return release
