# SPDX-License-Identifier: GPL-2.0-only
"""Debian's source of the kernel, and what builds it, in a root directory of the suite.

Nothing is installed on this system: see `ubypass.lab.roots`.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ubypass import child
from ubypass.errors import UbError
from ubypass.lab import roots

__all__ = ["COMPILER", "SERIES", "SUITE", "Source", "fetch", "unpack"]

#: Of Debian, the compiler of its kernel, and the kernel's series there.
SUITE, COMPILER, SERIES = "bookworm", "gcc-12", "6.1"

_PACKAGES = (
    *(f"linux-source-{SERIES}", COMPILER, "libc6-dev", "bc", "bison", "flex"),
    # The last one for a key: lockdown brings signed modules, of which there are none.
    *("libelf-dev", "libssl-dev", "openssl"),
)
_SPACE = 4 << 30  # bytes that source and objects take


@dataclass(frozen=True)
class Source:
    """The packages of the suite, unpacked below ``root``."""

    root: Path

    @property
    def archive(self) -> Path:
        """The source."""
        return self.root / "usr" / "src" / f"linux-source-{SERIES}.tar.xz"

    @property
    def version(self) -> str:
        """Debian's version (``6.1.192-3``). Raises UbError if dpkg does not know it."""
        status = (self.root / "var" / "lib" / "dpkg" / "status").read_text()
        found = re.search(
            rf"^Package: linux-source-{re.escape(SERIES)}\n(?:.+\n)*?Version: (\S+)$",
            status,
            re.MULTILINE,
        )
        if found is None:
            raise UbError(
                f"{self.root} has no linux-source-{SERIES}", f"remove {self.root}"
            )
        return found[1]

    @property
    def upstream(self) -> str:
        """The kernel's own version (``6.1.192``)."""
        return self.version.rpartition("-")[0]


def fetch(report: Callable[[str], None]) -> Source:
    """Source and tools, fetched if need be. Raises UbError if they cannot be."""
    return Source(roots.fetch_packages(SUITE, "kernel", _PACKAGES, report))


def unpack(source: Source, tree: Path, report: Callable[[str], None]) -> None:
    """Unpack the source into ``tree``, if it is not there. Raises UbError."""
    if tree.is_dir():
        return
    tree.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(tree.parent).free
    if free < _SPACE:
        raise UbError(
            f"a kernel takes {_SPACE >> 30} GB, {tree.parent} has {free >> 30}",
            "free some space there",
        )
    report(f"unpacking the source of {source.version}")
    prefix = f".{tree.name}-"
    for left in tree.parent.glob(f"{prefix}*"):
        shutil.rmtree(left)
    with tempfile.TemporaryDirectory(dir=tree.parent, prefix=prefix) as work:
        fresh = Path(work) / "tree"
        fresh.mkdir()
        done = child.run(
            ["tar", "-xJf", source.archive, "-C", fresh, "--strip-components=1"],
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            last = done.stderr.strip().splitlines()[-1:] or ["no message"]
            raise UbError(f"cannot unpack {source.archive}: {last[0]}")
        fresh.rename(tree)
