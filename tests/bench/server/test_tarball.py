# SPDX-License-Identifier: GPL-2.0-only
"""With releases made here: a Makefile that writes a script in place of a server."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from ubypass import places
from ubypass.bench.server import tarball as subject
from ubypass.bench.server.tarball import build_redis, built_redis
from ubypass.errors import UbError

_MAKEFILE = b"""
redis-server:
\techo made with $(MAKEFLAGS) in $(CURDIR)
\tprintf '#!/bin/sh\\necho 6.2.6\\n' > $@
\tchmod 755 $@
"""
_BROKEN = b"""
redis-server:
\t@for i in 1 2 3 4 5 6 7 8 9 10; do echo line $$i; done
\t@echo server.c:7: error; exit 1
"""


@pytest.fixture(autouse=True)
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(places.BUILD_VARIABLE, str(tmp_path / "build"))
    return tmp_path / "build" / "redis"


def _file(name: str, data: bytes = b"") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    return info, data


def _link(name: str, to: str, kind: bytes) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info, b""


def _release(
    where: Path, *more: tuple[tarfile.TarInfo, bytes], makefile: bytes = _MAKEFILE
) -> Path:
    path = where / "redis-6.2.6.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for info, data in (_file("redis-6.2.6/src/Makefile", makefile), *more):
            archive.addfile(info, io.BytesIO(data))
    return path


def test_built_once_for_the_same_contents(
    tmp_path: Path, build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _release(tmp_path)
    steps: list[str] = []
    monkeypatch.setenv("MAKEFLAGS", "n")  # a calling make -n
    assert built_redis(path) is None
    server = build_redis(path, steps.append)
    assert subprocess.check_output([server], text=True) == "6.2.6\n"
    assert steps == ["building redis-server of redis-6.2.6.tar.gz, a minute or more"]
    assert "made with" in (server.parent / "build.log").read_text()
    assert server.is_relative_to(build)
    # Nothing is left of the sources.
    assert {file.name for file in server.parent.iterdir()} == {
        "redis-server",
        "build.log",
        ".lock",
    }
    copy = tmp_path / "copy"
    copy.write_bytes(path.read_bytes())
    monkeypatch.setattr(subject, "_make", None)  # it is not called
    assert build_redis(copy, steps.append) == server == built_redis(copy)
    assert len(steps) == 1


@pytest.mark.parametrize("in_place", [True, False])
def test_what_is_built_is_what_was_looked_at(tmp_path: Path, in_place: bool) -> None:
    """Another release comes to the path after the first look at the contents."""
    path = _release(tmp_path)
    wanted = path.read_bytes()
    (tmp_path / "other").mkdir()
    other = _release(tmp_path / "other", makefile=_MAKEFILE.replace(b"6.2.6", b"7"))

    def exchange(step: str) -> None:
        if in_place:
            path.write_bytes(other.read_bytes())
        else:
            other.replace(path)

    server = build_redis(path, exchange)
    assert path.read_bytes() != wanted
    assert subprocess.check_output([server], text=True) == "6.2.6\n"
    path.write_bytes(wanted)
    assert built_redis(path) == server


def test_links_within_the_release(tmp_path: Path) -> None:
    inside = (
        _link("redis-6.2.6/make", "src/Makefile", tarfile.SYMTYPE),
        _link("redis-6.2.6/same", "redis-6.2.6/src/Makefile", tarfile.LNKTYPE),
    )
    assert build_redis(_release(tmp_path, *inside)).is_file()


@pytest.mark.parametrize("filtered", [True, False])
@pytest.mark.parametrize(
    "member",
    [
        _file("../outside", b"x"),
        _file("redis-6.2.6/../../outside", b"x"),
        _file("/nowhere/outside", b"x"),
        _link("redis-6.2.6/l", "/etc", tarfile.SYMTYPE),
        _link("redis-6.2.6/l", "src/../../..", tarfile.SYMTYPE),
        _link("redis-6.2.6/l", "../outside", tarfile.LNKTYPE),
        _link("redis-6.2.6/device", "", tarfile.CHRTYPE),
        _link("redis-6.2.6/fifo", "", tarfile.FIFOTYPE),
    ],
    ids=lambda member: f"{member[0].name} {member[0].linkname}",
)
def test_nothing_is_written_outside(
    tmp_path: Path,
    build: Path,
    member: tuple[tarfile.TarInfo, bytes],
    filtered: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not filtered:  # Python before 3.11.4
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
    path = _release(tmp_path, member)
    with pytest.raises(UbError, match="is no release of redis: it contains"):
        build_redis(path)
    assert not list(tmp_path.rglob("outside"))
    assert [file.name for file in build.glob("*/*")] == [".lock"]


@pytest.mark.parametrize(
    "data",
    [b"", b"no tarball", gzip.compress(b"no tarball")],
    ids=["empty", "text", "gzip"],
)
def test_not_a_tarball(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(UbError, match=f"cannot unpack {path}") as error:
        build_redis(path)
    assert "redis-6.2.6.tar.gz" in error.value.hint


def test_every_damaged_tarball_is_an_error_for_people(tmp_path: Path) -> None:
    whole = _release(tmp_path, _file("redis-6.2.6/x", os.urandom(20_000))).read_bytes()
    for length in range(20, len(whole), 500):
        path = tmp_path / "cut"
        path.write_bytes(whole[:length])
        with pytest.raises(UbError):
            build_redis(path)
    for at in range(40, len(whole), 500):  # not in the name
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
        with pytest.raises(UbError):
            build_redis(path)


def test_other_sources(tmp_path: Path) -> None:
    path = tmp_path / "other.tar"
    with tarfile.open(path, "w") as archive:
        archive.addfile(_file("a")[0])
    with pytest.raises(UbError, match="no src/Makefile"):
        build_redis(path)
    with pytest.raises(UbError, match="cannot read"):
        build_redis(tmp_path / "missing")
    with pytest.raises(UbError, match="is a directory"):
        built_redis(tmp_path)


def test_the_end_of_what_a_failed_build_says(tmp_path: Path, build: Path) -> None:
    path = _release(tmp_path, makefile=_BROKEN)
    with pytest.raises(UbError, match="does not build") as error:
        build_redis(path)
    assert "line 10\nserver.c:7: error\n" in error.value.message
    assert "line 1\n" not in error.value.message
    log = Path(error.value.hint.removeprefix("full output: "))
    assert log.read_text().startswith("make: Entering")
    assert built_redis(path) is None
    assert not list(build.glob("*/source-*"))


@pytest.mark.parametrize("missing", ["make", "cc"])
def test_no_compiler(
    tmp_path: Path, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _release(tmp_path)
    monkeypatch.setattr(
        subject.shutil, "which", lambda name: None if name == missing else f"/{name}"
    )
    with pytest.raises(UbError, match=f"{missing} is not installed") as error:
        build_redis(path)
    assert error.value.hint == "apt install make gcc"
