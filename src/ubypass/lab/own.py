# SPDX-License-Identifier: GPL-2.0-only
"""A kernel that was built here, for the lab and for the build of the module.

`KERNEL_VARIABLE` names its directory, laid out as one of the cache::

    release    the output of ``uname -r``
    suite      the suite of Debian that it was built with the tools of
    image/     boot/vmlinuz-RELEASE, lib/modules/RELEASE
    headers/   usr/src/linux-headers-RELEASE, for ``make -C``

Must not depend on how the kernel was built.
"""

from __future__ import annotations

import os
from pathlib import Path

from ubypass.errors import UbError

__all__ = ["KERNEL_VARIABLE", "home_of", "own_release"]

#: Environment variable with the directory of the kernel.
KERNEL_VARIABLE = "UBYPASS_KERNEL"


def own_release() -> str | None:
    """The release of the kernel that was chosen; None if none was.

    Raises UbError if there is no kernel in the directory that the variable names.
    """
    home = _home()
    if home is None:
        return None
    try:
        release = (home / "release").read_text().strip()
    except OSError:
        release = ""
    if not (home / "image" / "boot" / f"vmlinuz-{release}").is_file():
        raise UbError(
            f"no kernel in {home}, which {KERNEL_VARIABLE} names",
            f"build it (make debug-kernel), or unset {KERNEL_VARIABLE}",
        )
    return release


def home_of(release: str) -> Path | None:
    """The directory of ``release``, if it is the kernel that was chosen."""
    home = _home()
    if home is None or own_release() != release:
        return None
    return home


def _home() -> Path | None:
    chosen = os.environ.get(KERNEL_VARIABLE)
    return Path(chosen).absolute() if chosen else None
