# SPDX-License-Identifier: GPL-2.0-only
"""Builds redis-server from a release's tarball, offline, as upstream builds it.

The result is kept below the directory of built files, by a hash of the tarball's
contents. The lab's guest sees that directory, so that a build by the host serves it:
compiling is slow there. Independent of how redis is run.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import lzma
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from ubypass import child
from ubypass.errors import UbError
from ubypass.files import must_be_changeable, open_regular
from ubypass.places import build_dir

__all__ = ["build_redis", "built_redis"]

_SERVER = "redis-server"
_SHOWN = 8  # last lines of the output of a failed build

#: Settings of a calling make, and of a compilation, would change the build.
_UNWANTED = (
    *("MAKEFLAGS", "MFLAGS", "MAKELEVEL"),
    *("CC", "CFLAGS", "LDFLAGS", "LIBS", "OPTIMIZATION", "MALLOC", "BUILD_TLS"),
    *("REDIS_CFLAGS", "REDIS_LDFLAGS", "PREFIX"),
)

#: What tarfile raises for damaged files and for others.
_UNREADABLE = (
    *(tarfile.TarError, EOFError, ValueError),
    *(gzip.BadGzipFile, zlib.error, lzma.LZMAError),
)


def built_redis(tarball: Path) -> Path | None:
    """The redis-server that was built from these contents; None if it was not yet.

    Raises UbError if the tarball cannot be read.
    """
    with open_regular(tarball) as file:
        server = _place(_copied(file, None)) / _SERVER
    return server if server.is_file() else None


def build_redis(
    tarball: Path, report: Callable[[str], None] = lambda step: None
) -> Path:
    """The redis-server of ``tarball``, built unless that was done before.

    Without tools and tests, with the allocator that is upstream's default. ``report``
    takes a phrase before the build. Raises UbError with the last lines of the output if
    the build fails; all of it is in the file ``build.log`` beside the server.
    """
    try:
        with open_regular(tarball) as file, tempfile.TemporaryFile() as copy:
            return _built(tarball, _place(_copied(file, copy)), copy, report)
    except OSError as error:
        raise UbError(
            f"cannot build {tarball.name} in {build_dir() / 'redis'}: {error}"
        ) from error


def _built(
    tarball: Path, place: Path, copy: BinaryIO, report: Callable[[str], None]
) -> Path:
    server = place / _SERVER
    if server.is_file():
        return server
    for program in "make", "cc":
        if shutil.which(program) is None:
            raise UbError(
                f"cannot build {tarball.name}: {program} is not installed",
                "apt install make gcc",
            )
    place.mkdir(parents=True, exist_ok=True)
    must_be_changeable(place)
    with (place / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not server.is_file():  # not built meanwhile
            report(f"building {_SERVER} of {tarball.name}, a minute or more")
            with tempfile.TemporaryDirectory(dir=place, prefix="source-") as here:
                _unpack(tarball, copy, Path(here))
                _make(tarball, Path(here), place / "build.log").replace(server)
    return server


def _place(digest: str) -> Path:
    return build_dir() / "redis" / digest[:16]


def _copied(file: BinaryIO, copy: BinaryIO | None) -> str:
    """A digest of the contents, in hex, and a ``copy`` of exactly these: others may
    change the file.
    """
    digest = hashlib.sha256()
    while piece := file.read(1 << 20):
        digest.update(piece)
        if copy is not None:
            copy.write(piece)
    return digest.hexdigest()


def _unpack(tarball: Path, copy: BinaryIO, into: Path) -> None:
    options: dict[str, Any] = {}
    # Since 3.11.4: no owners, no special permissions.
    if hasattr(tarfile, "data_filter"):
        options["filter"] = "data"
    try:
        copy.seek(0)
        with tarfile.open(fileobj=copy) as archive:
            for member in archive:
                _must_stay_inside(member, tarball)
            # To its end, where the checksum is.
            while archive.fileobj is not None and archive.fileobj.read(1 << 20):
                pass
            archive.extractall(into, **options)
    except _UNREADABLE as error:
        raise UbError(
            f"cannot unpack {tarball}: {error}",
            "give the tarball of a release, such as redis-6.2.6.tar.gz",
        ) from error


def _must_stay_inside(member: tarfile.TarInfo, tarball: Path) -> None:
    """Raise UbError for what could be written outside of the directory.

    Neither names nor targets of links may ascend, so no chain of links leads out.
    """
    names = [member.name, *([member.linkname] if member.linkname else [])]
    paths = [PurePosixPath(name) for name in names]
    known = member.isreg() or member.isdir() or member.issym() or member.islnk()
    if known and not any(path.is_absolute() or ".." in path.parts for path in paths):
        return
    raise UbError(
        f"{tarball} is no release of redis: it contains {' -> '.join(names)!r}, which "
        "is not a file inside its own directory"
    )


def _make(tarball: Path, unpacked: Path, log: Path) -> Path:
    """Build in the unpacked tree; the server."""
    found = [*unpacked.glob("src/Makefile"), *unpacked.glob("*/src/Makefile")]
    if not found:
        raise UbError(
            f"{tarball} is no release of redis: it has no src/Makefile",
            "give the tarball of a release, such as redis-6.2.6.tar.gz",
        )
    source = found[0].parent
    jobs = f"-j{len(os.sched_getaffinity(0))}"
    env = {k: v for k, v in os.environ.items() if k not in _UNWANTED}
    done = child.run(
        ["make", "-C", str(source), jobs, _SERVER],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**env, "LC_ALL": "C.UTF-8"},
    )
    log.write_text(done.stdout)
    server = source / _SERVER
    if done.returncode != 0 or not server.is_file():
        text = re.sub(re.escape(f"{unpacked}/"), "", done.stdout)
        last = "\n".join(text.strip().splitlines()[-_SHOWN:])
        raise UbError(f"{tarball.name} does not build:\n{last}", f"full output: {log}")
    return server
