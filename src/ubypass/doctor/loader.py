# SPDX-License-Identifier: GPL-2.0-only
"""The entry that the boot loader of this machine starts next.

Read are the files by which it decides, never a program of it: a check changes nothing.
What a person chooses in its menu is not known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

__all__ = ["KERNELS", "Entry", "Unknown", "by_version", "read", "release_of"]

#: How the files of installed kernels begin, in ``/boot``.
KERNELS = "vmlinuz-"


class Unknown(Exception):
    """Why it cannot be told; in words."""


@dataclass(frozen=True, slots=True)
class Entry:
    """``loader`` and ``title``, for people. ``kernel``: path of the file as the boot
    loader has it; "" if the entry starts no kernel of this system.
    """

    loader: str
    title: str
    kernel: str


def release_of(entry: Entry, root: Path) -> str:
    """The release of its kernel, by the path of the file; "" if it starts none.

    Raises `Unknown`.
    """
    if not entry.kernel:
        return ""
    path = PurePosixPath(entry.kernel)
    if path.name == "linux":
        # As kernel-install has it: /TOKEN/RELEASE/linux.
        return path.parent.name
    name = path.name
    if not name.startswith(KERNELS):
        # As /vmlinuz, of the root directory's or of another file system.
        for link in root / entry.kernel.lstrip("/"), root / "boot" / name:
            if link.is_symlink():
                name = link.readlink().name
                break
    if not name.startswith(KERNELS):
        raise Unknown(f"{entry.loader} starts {entry.kernel}, of no known release")
    return name.removeprefix(KERNELS)


def by_version(text: str) -> list[tuple[int, str]]:
    """A sort key that compares numbers as numbers: 6.12 is newer than 6.2."""
    parts = re.findall(r"\d+|[^\d]+", text)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def read(path: Path, what: str) -> str:
    """The text of a file; "" if there is none. Raises `Unknown`, naming ``what``."""
    try:
        return path.read_text(errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        why = error.strerror or "an error"
        raise Unknown(f"{what} cannot be read: {why}") from None
