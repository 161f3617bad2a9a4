# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's selftests, from Debian's source package of a kernel, in the cache.

``selftests/VERSION`` there has the parts of the source that they need (``linux``), and
what they are compiled with besides the host's own: the kernel's interface (``uapi``,
linux-libc-dev of the same version) and libraries (``libraries``).
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ubypass import child
from ubypass.errors import UbError
from ubypass.lab.archive import Archive, of_suite
from ubypass.places import cache_dir

__all__ = ["Source", "fetch"]

#: Of the source, below its top directory.
_PARTS = (
    *("tools/testing/selftests", "tools/include", "tools/arch", "tools/scripts"),
    *("tools/build", "tools/lib", "scripts", "arch/x86/include", "mm/gup_test.h"),
    *("include/uapi", "usr/include/Makefile", "Makefile"),
)
_LIBRARIES = ("libcap-dev", "libnuma-dev")
_COMPLETE = ".complete"


@dataclass(frozen=True)
class Source:
    """Of the kernel ``version`` (Debian's)."""

    version: str
    root: Path

    @property
    def selftests(self) -> Path:
        """The directory with a directory for each collection."""
        return self.root / "linux" / "tools" / "testing" / "selftests"

    @property
    def headers(self) -> tuple[Path, ...]:
        """Directories of headers, the first one counts."""
        uapi = self.root / "uapi" / "usr" / "include"
        machine = uapi / "x86_64-linux-gnu"
        return uapi, machine, self.root / "libraries" / "usr" / "include"

    @property
    def libraries(self) -> Path:
        """The directory of libraries to link with."""
        return self.root / "libraries" / "usr" / "lib" / "x86_64-linux-gnu"


def fetch(release: str, suite: str | None, report: Callable[[str], None]) -> Source:
    """The source of ``release``, fetched if need be. Raises UbError if it cannot be."""
    archive = of_suite(suite)
    version = _version(archive, release)
    root = cache_dir() / "selftests" / version.replace(":", "_")
    if (root / _COMPLETE).exists():
        return Source(version, root)
    series = ".".join(release.split(".")[:2])
    report(f"fetching the source of {version} (140 MB)")
    shutil.rmtree(root, ignore_errors=True)
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root.parent, prefix=".fetch-") as work:
        debs = Path(work) / "debs"
        debs.mkdir()
        names = [f"linux-source-{series}={version}", f"linux-libc-dev={version}"]
        _download(archive, names, debs)
        _download(Archive(), list(_LIBRARIES), debs)
        tree = Path(work) / "tree"
        for deb in debs.glob("*.deb"):
            if deb.name.startswith("linux-source-"):
                report("unpacking")
                _unpack_source(deb, series, tree / "linux")
                continue
            uapi = deb.name.startswith("linux-libc-dev")
            into = tree / ("uapi" if uapi else "libraries")
            into.mkdir(parents=True, exist_ok=True)
            _run(["dpkg-deb", "-x", str(deb), str(into)])
        (tree / _COMPLETE).touch()
        tree.rename(root)
    return Source(version, root)


def _version(archive: Archive, release: str) -> str:
    """Debian's version of the package of that kernel."""
    shown = archive.cache("show", "--no-all-versions", f"linux-image-{release}")
    found = re.search(r"^Version: (\S+)$", shown, re.MULTILINE)
    if found is None:
        raise UbError(
            f"apt does not know the kernel {release}, so neither its source",
            "refresh the package lists: apt-get update (as root)",
        )
    return found[1]


def _download(archive: Archive, packages: list[str], directory: Path) -> None:
    done = child.run(
        ["apt-get", "download", *packages],
        cwd=directory,
        capture_output=True,
        text=True,
        env=archive.environment(),
    )
    if done.returncode != 0:
        errors = re.findall(r"^E: (.*)", done.stderr, re.MULTILINE)
        raise UbError(
            f"cannot fetch {packages[0]}: {errors[0] if errors else 'apt-get failed'}",
            "check the network, the proxy and the package lists",
        )


def _unpack_source(deb: Path, series: str, into: Path) -> None:
    top = f"linux-source-{series}"
    into.mkdir(parents=True)
    wanted = " ".join(f"{top}/{part}" for part in _PARTS)
    # Parts that a release does not have are no error; a source without tests is one.
    script = (
        f"dpkg-deb --fsys-tarfile '{deb}' | tar -xO ./usr/src/{top}.tar.xz | xz -dc | "
        f"tar -x -C '{into}' --strip-components=1 {wanted} 2> '{into}.log'"
    )
    _run(["bash", "-c", script], check=False)
    if not (into / "tools" / "testing" / "selftests" / "lib.mk").exists():
        raise UbError(f"{deb.name} contains no selftests")


def _run(command: list[str], *, check: bool = True) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if check and done.returncode != 0:
        raise UbError(f"{command[0]} failed: {done.stderr.strip()[-200:]}")
