# SPDX-License-Identifier: GPL-2.0-only
"""A root directory with packages of a suite: a compiler, a libc and a shell, or others.

The tools in a kernel's headers (objtool, modpost) are linked against the libc of their
suite, and the compiler options are those of the suite's compiler, so modules for a
newer suite than the host's cannot be built with the host's tools. Packages are
unpacked, not installed, and commands run there in a mount namespace of their own with
`chroot`, without privileges if users may create namespaces. Layout of the cache::

    roots/SUITE-NAME/      the root directory; NAME: a compiler, or its purpose
    roots/SUITE-NAME.lock  held while it is being made
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from ubypass import child
from ubypass.errors import UbError
from ubypass.lab import dpkg
from ubypass.lab.archive import Archive, of_suite
from ubypass.places import cache_dir

__all__ = ["fetch_packages", "fetch_root", "inside"]

Report = Callable[[str], None]

# Programs that kernel makefiles call, besides the compiler.
_TOOLS = (
    *("bash", "coreutils", "dash", "diffutils", "findutils", "grep", "gzip", "kmod"),
    *("libc-bin", "make", "mawk", "perl-base", "sed", "tar", "xz-utils"),
)
_MERGED = ("bin", "lib", "lib64", "sbin")
# Older packages have files in /bin and /lib, which are links in the root.
_UNPACK = (
    'dpkg-deb --fsys-tarfile "$1" | '
    'tar -x --keep-directory-symlink --no-same-owner -C "$2"'
)
# Links usually made by scripts of packages, which do not run.
_LINKS = {"usr/bin/awk": "mawk", "usr/bin/sh": "dash"}


def fetch_root(
    suite: str, compiler: str, kbuild: str, report: Report | None = None
) -> Path:
    """A root directory of ``suite`` with a compiler (``gcc-14``) and tools for make.

    ``kbuild``: the package with the kernel's own tools, whose libraries are included.
    ``report`` is called with a short phrase before slow operations. Raises UbError if
    packages cannot be fetched.
    """

    def packages(archive: Archive) -> list[str]:
        libraries = [p for p in archive.depends(kbuild) if p.startswith("lib")]
        return [compiler, "libc6-dev", *libraries]

    return _fetch(suite, compiler, packages, report)


def fetch_packages(
    suite: str, name: str, packages: Sequence[str], report: Report | None = None
) -> Path:
    """A root directory of ``suite`` with ``packages`` and all their dependencies.

    ``name``: its purpose; other packages make another directory. dpkg's database there
    lists the packages as installed. ``report`` and errors: see `fetch_root`.
    """
    digest = hashlib.sha256(" ".join(sorted(packages)).encode()).hexdigest()[:8]
    return _fetch(
        suite, f"{name}-{digest}", lambda archive: packages, report, database=True
    )


def _fetch(
    suite: str,
    name: str,
    packages: Callable[[Archive], Sequence[str]],
    report: Report | None,
    *,
    database: bool = False,
) -> Path:
    root = cache_dir() / "roots" / f"{suite.removesuffix('-backports')}-{name}"
    if root.is_dir():
        return root
    root.parent.mkdir(parents=True, exist_ok=True)
    with root.with_name(f"{root.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if root.is_dir():
            return root
        archive = of_suite(suite)
        wanted = packages(archive)
        if report is not None:
            report(f"downloading {wanted[0]} from {suite}")
        with tempfile.TemporaryDirectory(dir=root.parent, prefix=".fetch-") as work:
            tree = Path(work) / "tree"
            debs = _download(archive, wanted, Path(work))
            _make_tree(tree, debs)
            if database:
                dpkg.record(tree, debs)
            tree.rename(root)
    return root


def inside(root: Path, command: Sequence[str], shared: Sequence[Path]) -> list[str]:
    """The command that runs ``command`` with ``root`` as root directory.

    Each directory of ``shared`` is available and writable there under the same path.
    Raises UbError if this system has no unshare.
    """
    if shutil.which("unshare") is None:
        raise UbError(
            "cannot build with another suite's tools: unshare not found",
            "apt install util-linux",
        )
    lines = ["set -e"]
    for path in (Path("/dev"), Path("/proc"), *shared):
        there = shlex.quote(f"{root}{path}")
        lines.append(f"mkdir -p {there}")
        lines.append(f"mount --rbind {shlex.quote(str(path))} {there}")
    lines.append(f"exec chroot {shlex.quote(str(root))} {shlex.join(command)}")
    return ["unshare", "-r", "-m", "sh", "-c", "\n".join(lines)]


def _download(archive: Archive, packages: Sequence[str], work: Path) -> list[Path]:
    """Download with an empty dpkg status, so that apt includes all dependencies."""
    debs = work / "debs"
    (debs / "partial").mkdir(parents=True)
    done = child.run(
        [
            *("apt-get", "-q", "-y", "--download-only", "--no-install-recommends"),
            *("-o", f"Dir::Cache::archives={debs}", "-o", "Debug::NoLocking=1"),
            *("install", *packages, *_TOOLS),
        ],
        capture_output=True,
        text=True,
        env=archive.environment(),
    )
    if done.returncode != 0:
        output = re.findall(r"^E: (.*)", done.stderr, re.MULTILINE)
        why = output[0] if output else f"apt-get returned {done.returncode}"
        raise UbError(
            f"cannot fetch {packages[0]} from {archive.suite}: {why}",
            "check the network and the proxy",
        )
    return sorted(debs.glob("*.deb"))


def _make_tree(tree: Path, debs: Sequence[Path]) -> None:
    for name in _MERGED:
        (tree / "usr" / name).mkdir(parents=True)
        (tree / name).symlink_to(f"usr/{name}")
    for deb in debs:
        done = child.run(
            ["sh", "-c", _UNPACK, "sh", str(deb), str(tree)],
            capture_output=True,
            text=True,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
        if done.returncode != 0:
            last = done.stderr.strip().splitlines()[-1:] or ["no message"]
            raise UbError(f"cannot unpack {deb.name}: {last[0]}")
    for name, target in _LINKS.items():
        if not (tree / name).exists():
            (tree / name).symlink_to(target)
    for name in ("tmp", "dev", "proc"):
        (tree / name).mkdir(exist_ok=True)
