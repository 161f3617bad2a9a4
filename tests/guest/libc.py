# SPDX-License-Identifier: GPL-2.0-only
"""The C library of another suite: a program runs with it by its own dynamic loader."""

from __future__ import annotations

from tests.guest.program import PROGRAMS
from ubypass.lab.roots import fetch_packages

__all__ = ["NEWER", "prepare_newer"]

#: The first suite of Debian in which calls that may be cancelled return at one address.
_SUITE = "trixie"
_ROOT = PROGRAMS / _SUITE

#: What runs a program with that library.
NEWER = (
    str(_ROOT / "usr/lib64/ld-linux-x86-64.so.2"),
    "--library-path",
    str(_ROOT / "usr/lib/x86_64-linux-gnu"),
)


def prepare_newer() -> None:
    """Fetch it, and put it where the guest finds it."""
    root = fetch_packages(_SUITE, "libc", ["libc6"])
    PROGRAMS.mkdir(parents=True, exist_ok=True)
    _ROOT.unlink(missing_ok=True)
    _ROOT.symlink_to(root)
