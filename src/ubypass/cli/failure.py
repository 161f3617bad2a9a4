# SPDX-License-Identifier: GPL-2.0-only
"""What the system denied, in words: which file, why, what to do next."""

from __future__ import annotations

import errno
import os
import pwd
from pathlib import Path

from ubypass.errors import UbError, permission_hint

__all__ = ["explained"]

_DENIED = (errno.EACCES, errno.EPERM)
_FULL = (errno.ENOSPC, errno.EDQUOT)


def explained(error: OSError) -> UbError:
    """The same as an error for people."""
    why = error.strerror or str(error)
    if error.filename is None:
        return _nameless(error, why)
    name = os.fsdecode(error.filename2 or error.filename)
    if error.errno in _DENIED:
        return _denied(name, why)
    if error.errno in _FULL:
        return UbError(
            f"cannot write {name}: {why}",
            "free some space; UBYPASS_CACHE=DIRECTORY moves the cache",
        )
    if error.errno == errno.EROFS:
        return UbError(f"cannot write {name}: {why}", "run it from another directory")
    return UbError(f"cannot use {name}: {why}")


def _nameless(error: OSError, why: str) -> UbError:
    if error.errno == errno.ENOENT and not _has_directory():
        return UbError("this directory no longer exists", "cd to another one")
    if error.errno in _FULL:
        return UbError(f"cannot write the output: {why}", "free some space")
    if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN):
        return UbError(f"the system is short of something: {why}", "ulimit -a")
    return UbError(f"the system refused something: {why}")


def _has_directory() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


def _denied(name: str, why: str) -> UbError:
    """Mostly what root has made, and a user comes upon later."""
    place = Path(name)
    # Not Path.exists, which raises where a directory cannot be searched.
    while not os.path.exists(place) and place != place.parent:
        place = place.parent
    owner = os.stat(place).st_uid
    us = os.geteuid()
    if us in (0, owner):
        return UbError(f"cannot use {name}: {why}", f"see 'ls -ld {place}'")
    message = f"cannot use {name}: {why}; {place} belongs to {_user(owner)}"
    cache, ours = _trees()
    for tree in (*ours, cache):
        if place.is_relative_to(tree):
            return UbError(message, f"as root: chown -R {_user(us)} {tree}")
    if Path(name).is_relative_to(cache):
        return UbError(message, "UBYPASS_CACHE=DIRECTORY names another cache")
    return UbError(message, permission_hint())


def _trees() -> tuple[Path, tuple[Path, ...]]:
    """The cache, and what is made in the checkout: one file is rarely the only one."""
    from ubypass.places import cache_dir, checkout

    root = checkout()
    return cache_dir(), () if root is None else (root / "build", root / ".venv")


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
