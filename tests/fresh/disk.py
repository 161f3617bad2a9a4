# SPDX-License-Identifier: GPL-2.0-only
"""A root directory as a disk image, and an image's files as a root directory."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fresh.machine import Failed

__all__ = ["make_disk", "mounted"]

#: A sparse file: takes what is in it.
_SIZE = 8 << 30


def make_disk(disk: Path, root: Path) -> None:
    """Write an ext4 file system with all of ``root``. Raises Failed."""
    disk.unlink(missing_ok=True)
    with disk.open("wb") as file:
        file.truncate(_SIZE)
    _run(["mkfs.ext4", "-q", "-F", "-d", str(root), str(disk)])


@contextmanager
def mounted(disk: Path, place: Path) -> Iterator[Path]:
    """``disk`` mounted at ``place``, which is made; that. Raises Failed."""
    place.mkdir(exist_ok=True)
    _run(["mount", "-o", "loop", str(disk), str(place)])
    try:
        yield place
    finally:
        _run(["umount", str(place)])
        place.rmdir()


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"'{' '.join(command)}' failed: {done.stderr.strip()}")
