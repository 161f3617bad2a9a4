# SPDX-License-Identifier: GPL-2.0-only
"""A fresh ext4 file system on the lab's disk for the time of a measurement.

Never formats a disk outside the lab or a disk that is not empty.
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
_LOOKED_AT = 1 << 20  # bytes at the start; every file system has a signature there


@contextlib.contextmanager
def mounted(device: Path = DEVICE) -> Iterator[Path]:
    """The directory of a new ext4 on ``device``, unmounted at the end.

    Raises UbError outside the lab, without a disk, and for a disk that is not empty.
    """
    if os.environ.get("UBYPASS_LAB") != "1":
        raise UbError("file systems are created in the lab only", _HINT)
    if not device.is_block_device():
        raise UbError(f"there is no disk {device}", _HINT)
    if not is_empty(device):
        raise UbError(
            f"the disk {device} is not empty, and would be overwritten with a "
            "file system",
            "give the lab a size instead of a file: --disk 256M",
        )
    with tempfile.TemporaryDirectory(prefix="ub-disk-") as directory:
        _run("modprobe", "ext4")
        # No initialization may run in the background during measurements.
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
    """Whether the first MiB holds only zeros. Raises UbError."""
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
        output = done.stderr.decode(errors="replace").strip()
        raise UbError(f"{command[0]} has failed: {output}")
