# SPDX-License-Identifier: GPL-2.0-only
"""The entry that systemd-boot starts next, by its variables and its entries' files.

It says by a variable of the firmware that it has started this system.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ubypass.doctor.loader import Entry, Unknown, by_version, read

__all__ = ["loader_of", "next_of_systemd_boot"]

_NAME = "systemd-boot"
_VARIABLES = "sys/firmware/efi/efivars"
_VENDOR = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
_ATTRIBUTES = 4  # bytes before the value
#: Where the partitions may be mounted on which it looks for files.
_PLACES = ("efi", "boot", "boot/efi")
_TRIES = re.compile(r"\+\d+(-\d+)?$")


@dataclass(frozen=True, slots=True)
class _File:
    """An entry of type 1. ``bad``: its boots were counted, and none is left."""

    id: str
    values: dict[str, str]
    bad: bool

    @property
    def order(self) -> tuple[object, ...]:
        """For ``max``; as far as the entries of one system differ."""
        version = self.values.get("version", "")
        return (
            not self.bad,
            "sort-key" in self.values,
            by_version(version),
            by_version(self.id),
        )


def loader_of(root: Path) -> str:
    """What the boot loader that has started this system calls itself, with its
    version; "" if it says nothing. Raises `Unknown`.
    """
    return _variable(root, "LoaderInfo")


def next_of_systemd_boot(root: Path) -> Entry | None:
    """None if another boot loader has started this system. Raises `Unknown`."""
    if not loader_of(root).startswith(_NAME):
        return None
    if any(list((root / place / "EFI/Linux").glob("*.efi")) for place in _PLACES):
        raise Unknown(f"{_NAME} has unified kernel images")
    files = list(_files(root))
    if not files:
        raise Unknown(f"no entries of {_NAME} can be read")
    found = _wanted(files, root) or max(files, key=lambda file: file.order)
    title = found.values.get("title") or found.id
    return Entry(_NAME, title, found.values.get("linux", ""))


def _wanted(files: list[_File], root: Path) -> _File | None:
    """What somebody has chosen, for once or lastingly; None if nobody has."""
    for name in "LoaderEntryOneShot", "LoaderEntryDefault":
        if chosen := _variable(root, name):
            return _matching(files, chosen)
    for place in _PLACES:
        text = read(root / place / "loader/loader.conf", f"a file of {_NAME}")
        if pattern := _values(text).get("default", ""):
            return _matching(files, pattern)
    return None


def _matching(files: list[_File], pattern: str) -> _File:
    """Raises `Unknown` for what is no file, such as the entry before (``@saved``)."""
    if found := [each for each in files if fnmatch.fnmatchcase(each.id, pattern)]:
        return max(found, key=lambda file: file.order)
    raise Unknown(f"{_NAME} starts {pattern}, which is no file of an entry")


def _files(root: Path) -> Iterator[_File]:
    for place in _PLACES:
        folder = root / place / "loader/entries"
        try:
            paths = sorted(folder.glob("*.conf"))
        except OSError:
            continue
        for path in paths:
            name = path.name.removesuffix(".conf")
            tries = _TRIES.search(name)
            stem = _TRIES.sub("", name)
            bad = tries is not None and tries[0].startswith("+0")
            text = read(path, f"an entry of {_NAME}")
            yield _File(f"{stem}.conf", _values(text), bad)


def _values(text: str) -> dict[str, str]:
    """Keys and values of a file, one in a line."""
    words = (line.split(None, 1) for line in text.splitlines() if line[:1] != "#")
    return {each[0]: each[1].strip() for each in words if len(each) == 2}


def _variable(root: Path, name: str) -> str:
    """A variable of the firmware, text; "" if there is none. Raises `Unknown`."""
    path = root / _VARIABLES / f"{name}-{_VENDOR}"
    try:
        value = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        why = error.strerror or "an error"
        raise Unknown(f"the variable {name} cannot be read: {why}") from None
    return value[_ATTRIBUTES:].decode("utf-16-le", "replace").rstrip("\0")
