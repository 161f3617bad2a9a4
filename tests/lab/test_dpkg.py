# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ubypass.errors import UbError
from ubypass.lab import dpkg

pytestmark = pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="needs dpkg")


def _deb(place: Path, name: str, fields: str, *files: str) -> Path:
    tree = place / name
    for file in files:
        (tree / file).parent.mkdir(parents=True, exist_ok=True)
        (tree / file).touch()
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: 1.2\nMaintainer: x\n{fields}\nDescription: x\n y\n"
    )
    (tree / "DEBIAN/shlibs").write_text("libx 1 x (>= 1)\n")
    deb = place / f"{name}.deb"
    command = ["dpkg-deb", "--root-owner-group", "-Znone", "-b", str(tree), str(deb)]
    subprocess.run(command, check=True, capture_output=True)
    return deb


def _query(root: Path, *words: str) -> str:
    command = ["dpkg-query", f"--admindir={root}/var/lib/dpkg", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_dpkg_finds_what_was_unpacked(tmp_path: Path) -> None:
    one = _deb(tmp_path, "one", "Architecture: all", "usr/share/a file")
    two = _deb(
        tmp_path,
        "two",
        "Architecture: amd64\nMulti-Arch: same",
        "usr/lib/libx.so.1",
    )
    root = tmp_path / "root"
    dpkg.record(root, [one, two])
    form = "${Package} ${Version} ${Status}\\n"
    assert _query(root, "-W", "-f", form).splitlines() == [
        "one 1.2 install ok installed",
        "two 1.2 install ok installed",
    ]
    assert _query(root, "--search", "/usr/share/a file") == "one: /usr/share/a file\n"
    found = _query(root, "--search", "/usr/lib/libx.so.1")
    assert found == "two:amd64: /usr/lib/libx.so.1\n"
    shlibs = Path(_query(root, "--control-path", "two", "shlibs").strip())
    assert shlibs.read_text() == "libx 1 x (>= 1)\n"


def test_what_is_no_package_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.deb"
    broken.write_text("no package")
    with pytest.raises(UbError, match="cannot read a package"):
        dpkg.record(tmp_path / "root", [broken])
