# SPDX-License-Identifier: GPL-2.0-only
"""Debian packages of foreign programs, unpacked into a directory and not installed.

So nothing needs root, no service is enabled, and the machine stays as it is. In the
guest, whose file system is gone afterwards, their files are linked to where they
belong.
"""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from ubypass.errors import UbError

__all__ = ["fetch", "link", "missing"]

_HINT = "refresh the package lists: apt-get update (as root)"

#: "Inst NAME (VERSION ...": what is there already has its version before that.
_INSTALL = re.compile(r"^Inst (\S+) \((\S+)", re.MULTILINE)


def missing(packages: Sequence[str]) -> list[tuple[str, str]]:
    """Name and version of those, and of what they need, that are not installed.

    Raises UbError if apt does not know them.
    """
    said = _apt(
        ["-s", "-o", "Debug::NoLocking=1", "--no-install-recommends", "install"],
        packages,
    )
    return _INSTALL.findall(said)


def fetch(packages: Sequence[str], home: Path) -> list[Path]:
    """Directories in ``home`` that hold the files of what :func:`missing` says.

    Raises UbError if something cannot be had.
    """
    home.mkdir(parents=True, exist_ok=True)
    wanted = missing(packages)
    trees = [home / f"{name}_{version.replace(':', '%')}" for name, version in wanted]
    with (home / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lacking = {
            tree: f"{name}={version}"
            for tree, (name, version) in zip(trees, wanted, strict=True)
            if not tree.is_dir()
        }
        if lacking:
            _download(lacking, home)
    return trees


def _download(lacking: dict[Path, str], home: Path) -> None:
    with tempfile.TemporaryDirectory(dir=home, prefix=".fetch-") as name:
        work = Path(name)
        _apt(["download"], list(lacking.values()), work)
        for tree, what in lacking.items():
            # apt's file names: NAME_VERSION_ARCHITECTURE.deb, colons as %3a.
            package = what.partition("=")[0]
            (archive,) = work.glob(f"{package}_*.deb")
            fresh = work / tree.name
            done = subprocess.run(
                ["dpkg-deb", "-x", str(archive), str(fresh)],
                capture_output=True,
                text=True,
            )
            if done.returncode != 0:
                raise UbError(f"cannot unpack {archive.name}: {done.stderr.strip()}")
            fresh.rename(tree)


def link(trees: Iterable[Path], root: Path = Path("/")) -> None:
    """Let all files of ``trees`` appear below ``root``, where nothing is there yet."""
    for tree in trees:
        for directory, _, names in os.walk(tree):
            place = root / Path(directory).relative_to(tree)
            place.mkdir(parents=True, exist_ok=True)
            for name in names:
                if not os.path.lexists(place / name):
                    (place / name).symlink_to(Path(directory) / name)


def _apt(
    options: Sequence[str], packages: Sequence[str], directory: Path | None = None
) -> str:
    """What ``apt-get`` prints. Raises UbError with its own words."""
    done = subprocess.run(
        ["apt-get", *options, *packages],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.startswith("E: ")]
        why = lines[0].removeprefix("E: ") if lines else f"status {done.returncode}"
        raise UbError(f"cannot fetch programs to test with: {why}", _HINT)
    return done.stdout
