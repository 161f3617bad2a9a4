# SPDX-License-Identifier: GPL-2.0-only
"""Where sources are found and where results go: in a checkout, and installed.

C sources of the module and of the workloads are data of the package
(``ubypass/sources``). What is built from them goes into the checkout's ``build``, or,
where that cannot be, into the cache: nothing is ever written beside an installed
package. Nobody else may work this out from a path of their own.
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

#: Environment variable that names the directory for what is built. The lab sets it, so
#: that guest and host agree: root in the guest cannot see what the host refuses.
BUILD_VARIABLE = "UBYPASS_BUILD"

_PACKAGE = Path(__file__).resolve().parent
_SOURCES = _PACKAGE / "sources"
#: Where Debian's package has it (debian/rules).
_PACKAGED = Path("/usr/lib/ubypass/ubypass")

# The directories of a checkout's build/ that hold what build_dir() is asked for.
_BUILT = ("kernel", "kernel-bench", "workloads")


def checkout() -> Path | None:
    """The source tree that this package runs from; None if it was installed."""
    root = _PACKAGE.parents[1]
    return root if (root / "pyproject.toml").is_file() else None


def packaged() -> bool:
    """Whether this is a Debian package, beside which there is one of the module."""
    return _PACKAGE == _PACKAGED


def own_environment() -> dict[str, str]:
    """This process's variables, for a Python that has to find this package, too.

    A Debian package has it where no Python looks by itself.
    """
    path = [str(_PACKAGE.parent), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))}


def kernel_sources() -> Path:
    """The directory of the kernel module's sources."""
    return (_SOURCES / "kernel").resolve()


def workload_sources() -> Path:
    """The directory of the sources of the programs that measurements run."""
    return (_SOURCES / "workloads").resolve()


def cache_dir() -> Path:
    """Where fetched and derived files live: $UBYPASS_CACHE or ~/.cache/ubypass."""
    override = os.environ.get("UBYPASS_CACHE")
    if override:
        return Path(override).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().absolute() / "ubypass"


def build_dir() -> Path:
    """Where modules and workloads are built; may not exist yet.

    That is ``build`` of the checkout, if this user may write there and if the kernel's
    makefiles can work with its path. Otherwise it is a directory of the cache that
    belongs to this checkout, or to these sources.
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
    """Where the module for the kernel ``release`` is built, or would be."""
    return build_dir() / "kernel" / release / "ub.ko"


def _ours(build: Path) -> bool:
    """Whether this user may write below ``build``, also where others have been."""
    if not build.exists():
        return os.access(build.parent, os.W_OK)
    below = [build / name for name in _BUILT if (build / name).is_dir()]
    below += [path for parent in below for path in parent.iterdir() if path.is_dir()]
    return all(os.access(path, os.W_OK) for path in [build, *below])


@cache
def _digest_of_sources() -> str:
    """Names what an installed package builds: after an upgrade it is built anew."""
    digest = hashlib.sha256()
    for directory in kernel_sources(), workload_sources():
        for path in sorted(directory.rglob("*")):
            if path.is_file():
                name = f"{directory.name}/{path.relative_to(directory)}"
                data = path.read_bytes()
                digest.update(f"{name}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()[:16]
