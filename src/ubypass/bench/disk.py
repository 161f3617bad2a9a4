# SPDX-License-Identifier: GPL-2.0-only
"""A fresh ext4 on the lab's disk, for as long as something is measured there.

Makes a file system, so it never touches a disk that is not the lab's or that has
anything on it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from ubypass.errors import UbError

__all__ = ["DEVICE", "is_empty", "mounted"]

DEVICE = Path("/dev/vda")
_HINT = "ub lab run --icount --disk 256M -- ub bench io --disk"
_LOOKED_AT = 1 << 20  # bytes at the start in which any file system leaves a mark


@contextlib.contextmanager
def mounted(device: Path = DEVICE) -> Iterator[Path]:
    """A directory on a new ext4 on ``device``; unmounted at the end.

    Raises UbError outside the lab, without a disk, and for one that is not empty.
    """
    if os.environ.get("UBYPASS_LAB") != "1":
        raise UbError("a file system is made in the lab only", _HINT)
    if not device.is_block_device():
        raise UbError(f"there is no disk {device}", _HINT)
    if not is_empty(device):
        raise UbError(
            f"the disk {device} is not empty, and a file system would be made on it",
            "give the lab a size rather than a file: --disk 256M",
        )
    with tempfile.TemporaryDirectory(prefix="ub-disk-") as directory:
        _run("modprobe", "ext4")
        # Nothing may be left to do in the background while something is measured.
        _run(
            *("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"),
            str(device),
        )
        _run("mount", "-t", "ext4", "-o", "noatime", str(device), directory)
        try:
            yield Path(directory)
        finally:
            _run("umount", directory)


def is_empty(device: Path) -> bool:
    """Whether the first megabyte holds nothing but zeros. Raises UbError."""
    try:
        with device.open("rb") as file:
            return not any(file.read(_LOOKED_AT))
    except OSError as error:
        raise UbError(f"cannot read {device}: {error.strerror}") from error


def _run(*command: str) -> None:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    words: Sequence[str] = ("/usr/bin/env", f"PATH={path}", *command)
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise UbError(f"{command[0]} has failed: {said}")
