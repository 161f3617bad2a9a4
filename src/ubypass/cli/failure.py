# SPDX-License-Identifier: GPL-2.0-only
"""Errors for people: what happened, the reason, and the next step."""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import sys
from pathlib import Path

from ubypass.errors import UbError, permission_hint

__all__ = ["explained", "print_error"]

_DENIED = (errno.EACCES, errno.EPERM)
_FULL = (errno.ENOSPC, errno.EDQUOT)


def explained(error: OSError) -> UbError:
    """``error`` as an error for people."""
    why = error.strerror or str(error)
    if error.filename is None:
        return _nameless(error, why)
    name = os.fsdecode(error.filename2 or error.filename)
    if error.errno in _DENIED:
        return _denied(name, why)
    if error.errno in _FULL:
        return UbError(
            f"cannot write {name}: {why}",
            "free some space, or move the cache with UBYPASS_CACHE=DIRECTORY",
        )
    if error.errno == errno.EROFS:
        return UbError(f"cannot write {name}: {why}", "run ub in another directory")
    return UbError(f"cannot use {name}: {why}", f"check it: ls -ld {name}")


def print_error(error: UbError) -> None:
    """Print ``error`` and its hint to stderr; if stderr is closed, they are lost."""
    lines = [f"ub: {error.message}", *([f"    {error.hint}"] if error.hint else [])]
    with contextlib.suppress(OSError, ValueError):
        print("\n".join(lines), file=sys.stderr, flush=True)


def _nameless(error: OSError, why: str) -> UbError:
    if error.errno == errno.ENOENT and not _has_directory():
        return UbError("this directory no longer exists", "change to another one")
    if error.errno in _FULL:
        return UbError(f"cannot write the output: {why}", "free some space")
    if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN):
        return UbError(
            f"the system is short of a resource: {why}", "'ulimit -a' shows the limits"
        )
    return UbError(f"an operation failed: {why}", "UBYPASS_DEBUG=1 shows which one")


def _has_directory() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


def _denied(name: str, why: str) -> UbError:
    """Usually a file that root created and a user needs later."""
    place = Path(name)
    # Not Path.exists, which raises if a directory cannot be searched.
    while not os.path.exists(place) and place != place.parent:
        place = place.parent
    owner = os.stat(place).st_uid
    us = os.geteuid()
    if us in (0, owner):
        return UbError(f"cannot use {name}: {why}", f"check it: ls -ld {place}")
    message = f"cannot use {name}: {why}; {place} belongs to {_user(owner)}"
    cache, ours = _trees()
    for tree in (*ours, cache):
        if place.is_relative_to(tree):
            return UbError(message, f"as root: chown -R {_user(us)} {tree}")
    if Path(name).is_relative_to(cache):
        return UbError(message, "choose another cache with UBYPASS_CACHE=DIRECTORY")
    return UbError(message, permission_hint())


def _trees() -> tuple[Path, tuple[Path, ...]]:
    """The cache, and generated trees of the checkout: often all files are affected."""
    from ubypass.places import cache_dir, checkout

    root = checkout()
    return cache_dir(), () if root is None else (root / "build", root / ".venv")


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
