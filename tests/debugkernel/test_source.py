# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import shutil
import subprocess
from collections import namedtuple
from pathlib import Path

import pytest

from tests.debugkernel.source import Source, unpack
from ubypass.errors import UbError


def _source(root: Path, status: str) -> Source:
    file = root / "var" / "lib" / "dpkg" / "status"
    file.parent.mkdir(parents=True)
    file.write_text(status)
    return Source(root)


def test_versions_are_those_of_the_package(tmp_path: Path) -> None:
    source = _source(
        tmp_path,
        "Package: linux-source-6.1\nStatus: installed\nVersion: 6.1.192-3\n\n"
        "Package: make\nVersion: 4.3-4.1\n",
    )
    assert (source.version, source.upstream) == ("6.1.192-3", "6.1.192")


def test_a_root_without_the_source_is_an_error(tmp_path: Path) -> None:
    source = _source(tmp_path, "Package: make\nVersion: 4.3-4.1\n")
    with pytest.raises(UbError, match=r"no linux-source-6\.1") as caught:
        _ = source.version
    assert str(tmp_path) in caught.value.hint


def _archived(tmp_path: Path) -> Source:
    source = _source(
        tmp_path / "root", "Package: linux-source-6.1\nStatus: i\nVersion: 6.1.9-1\n"
    )
    top = tmp_path / "linux-source-6.1"
    top.mkdir()
    (top / "Makefile").write_text("all:\n")
    source.archive.parent.mkdir(parents=True)
    subprocess.run(
        ["tar", "-cJf", source.archive, "-C", tmp_path, top.name], check=True
    )
    return source


def test_a_source_is_unpacked_once_and_whole(tmp_path: Path) -> None:
    source, tree = _archived(tmp_path), tmp_path / "src" / "tree"
    left = tree.parent / ".tree-left"  # by a process that was killed
    left.mkdir(parents=True)
    said: list[str] = []
    unpack(source, tree, said.append)
    assert (tree / "Makefile").read_text() == "all:\n"
    assert [each.name for each in tree.parent.iterdir()] == ["tree"]
    unpack(source, tree, said.append)
    assert said == ["unpacking the source of 6.1.9-1"]


def test_a_damaged_source_leaves_nothing(tmp_path: Path) -> None:
    source, tree = _archived(tmp_path), tmp_path / "src" / "tree"
    source.archive.write_bytes(source.archive.read_bytes()[:-40])
    with pytest.raises(UbError, match="cannot unpack"):
        unpack(source, tree, lambda phrase: None)
    assert list(tree.parent.iterdir()) == []


def test_a_full_disk_is_said_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(9, 8, 1 << 30))
    with pytest.raises(UbError, match="takes 4 GB") as caught:
        unpack(_archived(tmp_path), tmp_path / "src" / "tree", lambda phrase: None)
    assert "free" in caught.value.hint
