# SPDX-License-Identifier: GPL-2.0-only
"""Directories of sources and results: in a checkout, and installed.

C sources of the module and of the workloads are data of the package
(``ubypass/sources``). Their products go into the checkout's ``build``, or, if that is
not possible, into the cache: nothing is ever written beside an installed package. Other
modules must not derive these paths themselves.
"""

from __future__ import annotations

import hashlib
import os
import re
from functools import cache
from pathlib import Path

__all__ = [
    "BUILD_VARIABLE",
    "build_dir",
    "cache_dir",
    "checkout",
    "kernel_sources",
    "module_file",
    "own_environment",
    "packaged",
    "workload_sources",
]

#: Environment variable with the directory of built files. The lab sets it, so that
#: guest and host agree: root in the guest cannot see that the host refuses a write.
BUILD_VARIABLE = "UBYPASS_BUILD"

_PACKAGE = Path(__file__).resolve().parent
_SOURCES = _PACKAGE / "sources"
#: The place of this package in the Debian package (debian/rules).
_PACKAGED = Path("/usr/lib/ubypass/ubypass")

# The directories of a checkout's build/ for users of build_dir().
_BUILT = ("kernel", "kernel-bench", "workloads", "redis")


def checkout() -> Path | None:
    """The source tree that this package runs from; None if it was installed."""
    root = _PACKAGE.parents[1]
    return root if (root / "pyproject.toml").is_file() else None


def packaged() -> bool:
    """Whether this is the Debian package, which comes with a package of the module."""
    return _PACKAGE == _PACKAGED


def own_environment() -> dict[str, str]:
    """This process's environment, for another Python that has to find this package.

    A Debian package has it outside of Python's default paths.
    """
    path = [str(_PACKAGE.parent), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))}


def kernel_sources() -> Path:
    """The directory of the kernel module's sources."""
    return (_SOURCES / "kernel").resolve()


def workload_sources() -> Path:
    """The directory of the sources of the workloads for measurements."""
    return (_SOURCES / "workloads").resolve()


def cache_dir() -> Path:
    """The directory for fetched and derived files: $UBYPASS_CACHE, ~/.cache/ubypass."""
    override = os.environ.get("UBYPASS_CACHE")
    if override:
        return Path(override).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().absolute() / "ubypass"


def build_dir() -> Path:
    """The directory in which modules and workloads are built; may not exist yet.

    ``build`` of the checkout, if this user may write there and the kernel's makefiles
    can handle the path; otherwise a directory of the cache for this checkout or these
    sources.
    """
    chosen = os.environ.get(BUILD_VARIABLE)
    if chosen:
        return Path(chosen).absolute()
    root = checkout()
    if root is None:
        return cache_dir() / "build" / _digest_of_sources()
    build = root / "build"
    if not re.search(r"[\s:]", str(build)) and _ours(build):
        return build
    name = hashlib.sha256(os.fsencode(root)).hexdigest()[:16]
    return cache_dir() / "build" / name


def module_file(release: str) -> Path:
    """The path of the module built for the kernel ``release``; may not exist."""
    return build_dir() / "kernel" / release / "ub.ko"


def _ours(build: Path) -> bool:
    """Whether this user may write below ``build``, including files of other users."""
    if not build.exists():
        return os.access(build.parent, os.W_OK)
    below = [build / name for name in _BUILT if (build / name).is_dir()]
    below += [path for parent in below for path in parent.iterdir() if path.is_dir()]
    return all(os.access(path, os.W_OK) for path in [build, *below])


@cache
def _digest_of_sources() -> str:
    """A hash of the sources of an installed package: an upgrade causes a new build."""
    digest = hashlib.sha256()
    for directory in kernel_sources(), workload_sources():
        for path in sorted(directory.rglob("*")):
            if path.is_file():
                name = f"{directory.name}/{path.relative_to(directory)}"
                data = path.read_bytes()
                digest.update(f"{name}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()[:16]
