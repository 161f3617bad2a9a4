# SPDX-License-Identifier: GPL-2.0-only
"""All files below a directory, so that two moments can be compared."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

__all__ = ["difference", "listing"]

#: What packages' programs write for themselves, whoever is installed or removed.
_OTHERS = re.compile(
    # apt's and dpkg's caches, lists, locks and logs.
    r"(var/(cache|log|lib/apt)|tmp|var/lib/dpkg/(triggers|updates|lock.*|.*-old))(/|$)|"
    # The key that dkms makes for signing when it builds its first module.
    r"var/lib/dkms/mok\.(key|pub)$|"
    # Mounted for the time of a command, or of a boot.
    r"(proc|sys|dev|run)/"
)
#: But what has our name there is ours. The contents of such a directory may change.
_OURS = re.compile(r"(var/cache|var/log|var/tmp|run|tmp)/[^/]*ubypass[^/]*$")
_MOUNTED = {"proc", "sys", "dev"}


def listing(root: Path) -> dict[str, str]:
    """Paths below ``root``, and of each what it is: kind, mode, size or target."""
    found = {}
    for directory, names, files in os.walk(root):
        below = os.path.relpath(directory, root)
        for name in [*names, *files]:
            path = os.path.normpath(os.path.join(below, name))
            if not _OTHERS.match(path) or _OURS.match(path):
                found[path] = _kind(os.path.join(directory, name))
        if below == ".":
            names[:] = [name for name in names if name not in _MOUNTED]
    return found


def _kind(path: str) -> str:
    status = os.lstat(path)
    mode = stat.filemode(status.st_mode)
    if stat.S_ISLNK(status.st_mode):
        return f"{mode} -> {os.readlink(path)}"
    return f"{mode} {status.st_size}" if stat.S_ISREG(status.st_mode) else mode


def difference(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """One line for each path that came, went or is something else now."""
    lines = []
    for path in sorted(before.keys() | after.keys()):
        was, now = before.get(path), after.get(path)
        if was != now:
            lines.append(f"{path}: {was or 'nothing'}, then {now or 'nothing'}")
    return lines
