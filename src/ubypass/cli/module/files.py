# SPDX-License-Identifier: GPL-2.0-only
"""The module's file for a kernel, and whether the module is loaded."""

from __future__ import annotations

import os
from pathlib import Path

from ubypass.places import checkout, module_file, packaged

__all__ = ["how_to_get", "is_loaded", "loadable", "short"]

_LOADED = Path("/sys/module/ub")


def is_loaded() -> bool:
    """Whether the module is loaded into the running kernel."""
    return _LOADED.exists()


def loadable(release: str) -> Path:
    """The module for ``release``: installed by a package, or built here.

    The path of a future build if there is none.
    """
    from ubypass.module.installed import find_module

    return find_module(release, module_file(release), own=checkout() is not None)


def how_to_get(release: str) -> str:
    """The command that provides a module for ``release``."""
    if packaged():
        return f"apt install ubypass-dkms linux-headers-{release}"
    return f"ub module build --kernel {release}"


def short(path: Path) -> str:
    """The path, relative to the working or the home directory if that is shorter."""
    names = [str(path), os.path.relpath(path)]
    if path.is_relative_to(Path.home()):
        names.append(f"~/{path.relative_to(Path.home())}")
    return min(names, key=len)
