# SPDX-License-Identifier: GPL-2.0-only
"""Caches the calibration of this CPU for this boot.

The cache is optional. A file that is damaged, belongs to another boot or CPU, or could
have been written by another user is ignored. Failures to write are ignored too.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from pathlib import Path

from ubypass import processor
from ubypass.calibrate.figures import FORMAT, Calibration
from ubypass.calibrate.measuring import SECONDS, measure
from ubypass.errors import UbError
from ubypass.files import open_regular, write_text
from ubypass.places import cache_dir

__all__ = ["cache_file", "cached", "found", "keep"]

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_VULNERABILITIES = Path("/sys/devices/system/cpu/vulnerabilities")

# A genuine file has some 4 KiB.
_MOST_BYTES = 1 << 16

# JSON that is nested too deeply, and a user without a home, raise RuntimeError.
_UNUSABLE = (UbError, OSError, RuntimeError)


def cached(seconds: float = SECONDS) -> Calibration:
    """The calibration of this boot; if there is none, measure for ``seconds``.

    Raises UbError if measurements are not possible: see :func:`measure`.
    """
    known = found()
    if known is None:
        known = measure(seconds)
        keep(known)
    return known


def cache_file() -> Path:
    """The file of the calibration of this CPU; one file for each model."""
    name = hashlib.sha256(processor.describe().encode()).hexdigest()[:16]
    return cache_dir() / "calibration" / f"{name}.json"


def found() -> Calibration | None:
    """The cached calibration of this CPU and boot, if there is a trusted one."""
    key = _key()
    if key is None:
        return None
    try:
        with open_regular(cache_file(), follow=False) as file:
            if not _ours(os.fstat(file.fileno())):
                return None
            text = file.read(_MOST_BYTES + 1)
        data = json.loads(text)
        if len(text) > _MOST_BYTES or data["key"] != key:
            return None
        known = Calibration.from_data(data["calibration"])
    except (*_UNUSABLE, ValueError, KeyError, TypeError):
        return None
    return known if known.measured else None


def keep(calibration: Calibration) -> None:
    """Write ``calibration`` for :func:`found`, if possible, and safe for root."""
    key = _key()
    if key is None:
        return
    text = json.dumps({"key": key, "calibration": calibration.as_data()}, indent=1)
    with contextlib.suppress(*_UNUSABLE):
        path = cache_file()
        if path.is_symlink() or (path.exists() and not path.is_file()):
            return  # opening a FIFO for writing would wait for a reader
        path.parent.mkdir(parents=True, exist_ok=True)
        # A user who can change one of the directories could redirect the write to any
        # file of this user.
        resolved = path.parent.resolve()
        if all(_ours(place.stat()) for place in (resolved, *resolved.parents)):
            write_text(path, text + "\n")
            path.chmod(0o644)  # whatever the umask


def _ours(status: os.stat_result) -> bool:
    """Whether only this user and root can have changed that file or directory.

    Group write permission is refused for root only: many users have a private group.
    """
    if status.st_uid not in (0, os.geteuid()):
        return False
    others = 0o002 if os.geteuid() else 0o022
    sticky = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
    return bool(sticky) or not status.st_mode & others


def _key() -> dict[str, object] | None:
    """The key of the cached figures; None if the boot id cannot be read."""
    try:
        boot = _BOOT_ID.read_text("ascii").strip()
    except (OSError, ValueError):
        return None
    return {
        "format": FORMAT,
        "boot": boot,
        "processor": processor.describe(),
        "microcode": processor.microcode(),
        "mitigations": _mitigations(),
    }


def _mitigations() -> dict[str, str]:
    """The kernel's status of each vulnerability; some can change at run time."""
    texts = {}
    with contextlib.suppress(OSError):
        for path in sorted(_VULNERABILITIES.iterdir()):
            with contextlib.suppress(OSError):
                texts[path.name] = path.read_text("utf-8", "replace").strip()
    return texts
