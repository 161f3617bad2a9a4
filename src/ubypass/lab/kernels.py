# SPDX-License-Identifier: GPL-2.0-only
"""Debian kernels and their headers, fetched into a cache without privileges.

A release is the output of ``uname -r``, for example ``6.1.0-56-amd64``. Packages are
fetched by ``apt-get download`` (which checks their signatures) and unpacked with
``dpkg-deb -x``; nothing is installed on the host. Layout of the cache::

    kernels/RELEASE.lock      held while RELEASE is being fetched
    kernels/RELEASE/image/    linux-image-RELEASE, plus depmod's output
    kernels/RELEASE/headers/  linux-headers-RELEASE and its dependencies
    kernels/RELEASE/*.files   number of files in the complete directory
    kernels/RELEASE/suite     the suite of the package, if not the host's own

A kernel that was built here (`ubypass.lab.own`) has a directory of its own.
Must not depend on the purpose of the kernels.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ubypass import child
from ubypass.errors import UbError
from ubypass.lab.archive import Archive, of_suite
from ubypass.lab.own import home_of, own_release
from ubypass.places import cache_dir

__all__ = [
    "FLAVOUR_VARIABLE",
    "SUITE_VARIABLE",
    "Kernel",
    "cached_headers",
    "cached_releases",
    "default_release",
    "fetch_headers",
    "fetch_kernel",
    "has_headers",
    "has_lists",
    "headers_dir",
    "is_whole",
    "offered_releases",
    "suite_of",
]

#: Environment variable with the default suite of kernels.
SUITE_VARIABLE = "UBYPASS_SUITE"

#: The same for their flavour: ``rt`` (real time), ``cloud``.
FLAVOUR_VARIABLE = "UBYPASS_FLAVOUR"

Report = Callable[[str], None]

_RELEASE = re.compile(r"\d+\.\d+[A-Za-z0-9.+~-]*")
# Kernels for real time and for clouds: all others are ordinary ones.
_FLAVOUR = re.compile(r"-(rt|cloud)-amd64$")
_APT_LISTS = Path("/var/lib/apt/lists")
_FULL = os.strerror(errno.ENOSPC)  # the message of programs in the C locale
_OFFLINE = re.compile(r"resolv|connect|unreachable|timed out", re.IGNORECASE)
_APT_HINT = "refresh the package lists: apt-get update (as root)"


@dataclass(frozen=True)
class Kernel:
    """An unpacked kernel package. ``root`` holds ``boot/`` and ``lib/modules/``."""

    release: str
    root: Path

    @property
    def image(self) -> Path:
        """The compressed kernel that a boot loader starts."""
        # Since 7.0 Debian's packages have the image beside the modules.
        beside = self.modules / "vmlinuz"
        if beside.exists():
            return beside
        return self.root / "boot" / f"vmlinuz-{self.release}"

    @property
    def modules(self) -> Path:
        """The directory that is /lib/modules/RELEASE on the running system."""
        return self.root / "lib" / "modules" / self.release


def cached_releases() -> list[str]:
    """Releases whose kernel is in the cache, oldest version first."""
    found = (cache_dir() / "kernels").glob("*/image")
    return sorted((path.parent.name for path in found), key=_version_key)


def cached_headers() -> list[str]:
    """Releases whose headers are in the cache, oldest version first."""
    found = (cache_dir() / "kernels").glob("*/headers")
    releases = (path.parent.name for path in found if is_whole(path))
    return sorted(releases, key=_version_key)


def default_release(suite: str | None = None, *, flavour: str | None = None) -> str:
    """The release that Debian currently recommends, else the newest one in the cache.

    With ``suite`` or `SUITE_VARIABLE`, the newest release of that suite; see
    `ubypass.lab.archive`. ``flavour``: of the kernel (``rt``, ``cloud``, "" for the
    ordinary one), by default that of `FLAVOUR_VARIABLE`. A kernel that was built here
    and chosen (`ubypass.lab.own`) comes before all but ``suite``. Raises UbError if apt
    knows none and the cache is empty.
    """
    own = own_release() if suite is None else None
    if own is not None:
        return own
    suite = suite or os.environ.get(SUITE_VARIABLE)
    if flavour is None:
        flavour = os.environ.get(FLAVOUR_VARIABLE, "")
    if suite is not None:
        return _newest(suite, flavour)
    found = _recommended(flavour)
    if found:
        return found
    cached = [each for each in cached_releases() if _flavour_of(each) == flavour]
    if cached:
        return cached[-1]
    raise UbError(
        f"no kernel for the lab: apt has no {_image_of(flavour)}, the cache neither",
        _APT_HINT,
    )


def fetch_kernel(
    release: str | None = None,
    report: Report | None = None,
    *,
    suite: str | None = None,
) -> Kernel:
    """The kernel ``release`` (default: see `default_release`), fetched if need be.

    ``report`` is called with a short phrase before slow operations. ``suite``: the
    suite of the release; default: the suite of an earlier fetch, else the host's.
    Raises UbError if the package cannot be fetched.
    """
    release = _checked(release or default_release(suite))
    kernel = Kernel(release, _home(release) / "image")
    if is_whole(kernel.root) and kernel.image.exists():
        return kernel
    archive = _archive(release, suite)
    main = f"linux-image-{release}"
    with _unpacked([main], kernel.root, report, archive) as tree:
        if tree is not None:
            if not any(tree.rglob("vmlinuz*")):
                # Since 7.0 that package is empty and depends on packages with files.
                parts = rf"linux-(base|binary|modules)-{re.escape(release)}"
                more = [
                    p for p in _all_depends(archive, main) if re.fullmatch(parts, p)
                ]
                _unpack(more, tree, archive)
            _join_lib(tree)
            _run(["depmod", "-b", str(tree), release], "index the kernel's modules")
    if not kernel.image.exists():
        raise UbError(f"linux-image-{release} contains no kernel image")
    return kernel


def fetch_headers(
    release: str, report: Report | None = None, *, suite: str | None = None
) -> Path:
    """The directory for ``make -C`` that builds modules for ``release``.

    Fetches the headers if need be. The packages have absolute references to ``/usr``,
    which are rewritten. ``suite``: see `fetch_kernel`. Raises UbError if the headers
    cannot be fetched.
    """
    release = _checked(release)
    root = _home(release) / "headers"
    build = headers_dir(root, release)
    if is_whole(root) and (build / "Makefile").exists():
        return build
    main = f"linux-headers-{release}"
    archive = _archive(release, suite)
    more = [
        package
        for package in archive.depends(main)
        if re.fullmatch(r"linux-headers-.*-common(-rt)?|linux-kbuild-.*", package)
    ]
    with _unpacked([main, *more], root, report, archive) as tree:
        if tree is not None:
            _relocate(tree, root, release)
    if not build.exists():
        raise UbError(f"{main} contains no {build.name}")
    return build


def offered_releases(series: str) -> list[str]:
    """Releases of ``series`` (``6.1``) whose headers apt offers, oldest first.

    Debian's ordinary kernels only, no cloud or real-time ones. Empty if apt knows none.
    """
    # A regular expression of POSIX as well.
    release = rf"{re.escape(series)}\.[0-9.-]+(\+deb[0-9]+)?-amd64"
    output = Archive().cache("search", "--names-only", f"^linux-headers-{release}$")
    found = re.finditer(rf"^linux-headers-({release}) ", output, re.MULTILINE)
    return sorted({match[1] for match in found}, key=_version_key)


def headers_dir(root: Path, release: str) -> Path:
    """The build directory of the headers package for ``release``."""
    return root / "usr" / "src" / f"linux-headers-{release}"


def has_lists() -> bool:
    """Whether apt has package lists at all: fresh systems have none."""
    return any("Packages" in path.name for path in _APT_LISTS.glob("*"))


def has_headers(release: str) -> bool:
    """Whether apt knows a package with the headers of that kernel."""
    return bool(Archive().depends(f"linux-headers-{release}"))


def suite_of(release: str) -> str | None:
    """The suite from which ``release`` was fetched; None for the host's own or none."""
    try:
        return (_home(release) / "suite").read_text().strip() or None
    except OSError:
        return None


def is_whole(directory: Path) -> bool:
    """Whether the unpacked directory (``image``, ``headers``) is still complete.

    Caches are cleaned by people and programs, sometimes only in part.
    """
    try:
        wanted = int(_count_file(directory).read_text())
    except (OSError, ValueError):
        return directory.is_dir()  # fetched by a version that did not count files
    return _count(directory) >= wanted


def _count(directory: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(directory))


def _count_file(directory: Path) -> Path:
    return directory.with_name(f"{directory.name}.files")


def _recommended(flavour: str) -> str:
    """The release that Debian's package depends on; "" if apt does not know.

    A query of apt takes a second, half a minute in a guest, so the answer is cached
    until the package lists change.
    """
    try:
        stamp = _APT_LISTS.stat().st_mtime_ns
    except OSError:
        return ""
    memory = cache_dir() / "-".join(filter(None, ("default-release", flavour)))
    try:
        known = memory.read_text().split()
    except OSError:
        known = []
    if len(known) == 2 and known[0] == str(stamp):
        return known[1]
    release = _recommended_by(Archive(), flavour)
    if release:
        with suppress(OSError):
            memory.parent.mkdir(parents=True, exist_ok=True)
            partial = memory.with_suffix(f".{os.getpid()}")
            partial.write_text(f"{stamp} {release}\n")
            partial.replace(memory)
    return release


def _recommended_by(archive: Archive, flavour: str) -> str:
    depends = archive.depends(_image_of(flavour))
    names = (p.removeprefix("linux-image-") for p in depends)
    return next((name for name in names if _RELEASE.fullmatch(name)), "")


def _image_of(flavour: str) -> str:
    """Debian's package that depends on the newest kernel."""
    return f"linux-image-{flavour}-amd64" if flavour else "linux-image-amd64"


def _flavour_of(release: str) -> str:
    found = _FLAVOUR.search(release)
    return found[1] if found else ""


def _newest(suite: str, flavour: str) -> str:
    """The newest release of a suite; if its lists are unavailable, of the cache."""
    try:
        found = _recommended_by(of_suite(suite), flavour)
    except UbError:
        cached = (r for r in cached_releases()[::-1] if _flavour_of(r) == flavour)
        found = next((r for r in cached if suite_of(r) == suite), "")
        if not found:
            raise
    if not found:
        raise UbError(
            f"{suite} has no {_image_of(flavour)}",
            "examples of suites: trixie, trixie-backports, sid",
        )
    return found


def _archive(release: str, suite: str | None) -> Archive:
    return of_suite(suite or suite_of(release) or os.environ.get(SUITE_VARIABLE))


def _all_depends(archive: Archive, package: str) -> list[str]:
    """All dependencies with the release in their name, direct and indirect."""
    tail = package.removeprefix("linux-image-")
    found: list[str] = []
    todo = [package]
    while todo:
        for each in archive.depends(todo.pop()):
            if each.endswith(tail) and each not in found:
                found.append(each)
                todo.append(each)
    return found


def _checked(release: str) -> str:
    # The name is used in paths and package names; refuse invalid ones.
    if not _RELEASE.fullmatch(release):
        raise UbError(
            f"'{release}' is not a kernel release",
            "write a release such as 6.1.0-56-amd64",
        )
    return release


def _home(release: str) -> Path:
    return home_of(release) or cache_dir() / "kernels" / release


def _version_key(release: str) -> list[tuple[int, str]]:
    return [(int(n or 0), s) for n, s in re.findall(r"(\d+)|(\D+)", release)]


@contextmanager
def _unpacked(
    packages: list[str], target: Path, report: Report | None, archive: Archive
) -> Iterator[Path | None]:
    """A directory with the packages' files that becomes ``target`` on success.

    Yields None when another process completed ``target`` in the meantime.
    """
    home = target.parent
    home.parent.mkdir(parents=True, exist_ok=True)
    lock_path = home.parent / f"{home.name}.lock"
    with lock_path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_whole(target) and _count_file(target).exists():
            yield None
            return
        prefix = f".fetch-{home.name}-{target.name}-"
        for stale in home.parent.glob(f"{prefix}*"):
            shutil.rmtree(stale, ignore_errors=True)  # left by a killed process
        with tempfile.TemporaryDirectory(dir=home.parent, prefix=prefix) as work:
            tree = Path(work) / "tree"
            tree.mkdir()
            if report is not None:
                report(f"fetching {packages[0]}")
            _unpack(packages, tree, archive)
            yield tree
            home.mkdir(exist_ok=True)
            if archive.suite is not None:
                (home / "suite").write_text(f"{archive.suite}\n")
            if target.exists():
                target.rename(Path(work) / "damaged")
            tree.rename(target)
            _count_file(target).write_text(f"{_count(target)}\n")


def _unpack(packages: list[str], tree: Path, archive: Archive) -> None:
    with tempfile.TemporaryDirectory(dir=tree.parent) as work:
        for deb in _download(packages, Path(work), archive):
            _run(["dpkg-deb", "-x", str(deb), str(tree)], f"unpack {deb.name}")


def _download(packages: list[str], directory: Path, archive: Archive) -> list[Path]:
    if shutil.which("apt-get") is None:
        raise UbError(
            f"cannot fetch {packages[0]}: this system has no apt-get",
            f"unpack the package by hand into {cache_dir() / 'kernels'}",
        )
    done = child.run(
        ["apt-get", "download", *packages],
        cwd=directory,
        capture_output=True,
        text=True,
        env=archive.environment(),
    )
    if done.returncode != 0:
        errors = [
            line.removeprefix("E: ")
            for line in done.stderr.splitlines()
            if line.startswith("E: ")
        ]
        why = errors[0] if errors else f"apt-get returned {done.returncode}"
        hint = _APT_HINT
        if _FULL in done.stderr:
            why, hint = _full(directory)
        elif _OFFLINE.search(done.stderr):
            hint = "the package archive is unreachable: check the network and the proxy"
        raise UbError(f"cannot fetch {packages[0]}: {why}", hint)
    return sorted(directory.glob("*.deb"))


def _join_lib(tree: Path) -> None:
    # Since Debian 13 modules are packaged under /usr/lib; users expect /lib.
    if not (tree / "lib").exists() and (tree / "usr" / "lib" / "modules").exists():
        (tree / "lib").symlink_to("usr/lib")


def _relocate(tree: Path, final: Path, release: str) -> None:
    """Rewrite absolute references to /usr to the final place of the tree."""
    for path in (tree / "usr" / "src").rglob("*"):
        if path.is_symlink():
            target = os.readlink(path)
            if target.startswith("/usr/"):
                path.unlink()
                path.symlink_to(f"{final}{target}")
    build = headers_dir(tree, release)
    for name in "Makefile", ".kernelvariables":
        file = build / name
        if file.is_file():
            text = file.read_text()
            file.write_text(
                re.sub(r"(?<![\w/])/usr/(?=src/|lib/)", f"{final}/usr/", text)
            )


def _run(command: list[str], purpose: str) -> None:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    program = shutil.which(command[0], path=path)
    if program is None:
        raise UbError(
            f"cannot {purpose}: {command[0]} not found",
            "install the Debian packages kmod and dpkg",
        )
    done = child.run(
        [program, *command[1:]],
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        if _FULL in done.stderr:
            why, hint = _full(cache_dir())
            raise UbError(f"cannot {purpose}: {why}", hint)
        last = done.stderr.strip().splitlines()[-1:] or [f"status {done.returncode}"]
        raise UbError(f"cannot {purpose}: {last[0]}")


def _full(directory: Path) -> tuple[str, str]:
    """Message and hint for a full file system."""
    free = shutil.disk_usage(directory).free
    return (
        f"{cache_dir()} has no space left ({free >> 20} MiB free)",
        "free some space there, or move the cache with UBYPASS_CACHE=DIRECTORY",
    )
