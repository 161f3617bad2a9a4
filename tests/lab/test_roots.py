# SPDX-License-Identifier: GPL-2.0-only
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.lab.policy import answer
from ubypass.errors import UbError
from ubypass.lab import roots

pytestmark = pytest.mark.skipif(
    shutil.which("dpkg-deb") is None, reason="packages are made with dpkg-deb"
)


def _namespaces() -> bool:
    if shutil.which("unshare") is None:
        return False
    done = subprocess.run(["unshare", "-r", "-m", "true"], capture_output=True)
    return done.returncode == 0


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """apt that downloads one package, with a busybox for all tools."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("needs busybox")
    tree = tmp_path / "tree"
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "bin").mkdir()
    shutil.copy(busybox, tree / "bin/dash")
    shutil.copy(busybox, tree / "usr/bin/mawk")
    shutil.copy(busybox, tree / "usr/bin/cat")
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN/control").write_text(
        "Package: tools\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n"
    )
    deb = tmp_path / "tools.deb"
    command = ["dpkg-deb", "--root-owner-group", "-Znone", "-b", str(tree), str(deb)]
    subprocess.run(command, check=True, capture_output=True)
    programs = tmp_path / "bin"
    programs.mkdir()
    log = tmp_path / "log"
    for name, text in (
        (
            "apt-get",
            f'echo "$@" >> {log}; for a; do case $a in Dir::Cache::archives=*) '
            f"cp {deb} ${{a#*=}};; esac; done",
        ),
        (
            "apt-cache",
            f"{answer()}\necho '  Depends: libelf1t64'; echo '  Depends: dpkg'",
        ),
    ):
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("UBYPASS_CACHE", str(tmp_path / "cache"))
    return log


def test_a_root_is_made_once_with_what_the_tools_need(apt: Path) -> None:
    said: list[str] = []
    root = roots.fetch_root("trixie-backports", "gcc-14", "linux-kbuild-7", said.append)
    assert said == ["downloading gcc-14 from trixie-backports"]
    asked = apt.read_text().splitlines()[-1].split()
    assert {"gcc-14", "libc6-dev", "libelf1t64", "make"} <= set(asked)
    assert "dpkg" not in asked
    # Merged, although the package is not.
    assert (root / "usr/bin/dash").is_file()
    assert os.readlink(root / "usr/bin/sh") == "dash"
    calls = len(apt.read_text().splitlines())
    # Backports use the compiler of their base.
    assert roots.fetch_root("trixie", "gcc-14", "linux-kbuild-6") == root
    assert len(apt.read_text().splitlines()) == calls


@pytest.mark.skipif(not _namespaces(), reason="needs user namespaces")
def test_commands_see_the_root_and_what_is_shared(apt: Path, tmp_path: Path) -> None:
    root = roots.fetch_root("trixie", "gcc-14", "linux-kbuild-6")
    shared = tmp_path / "shared here"
    shared.mkdir()
    (shared / "in").write_text("hello")
    text = f"cat '{shared}/in' > '{shared}/out'; test ! -e '{tmp_path}/log'"
    done = subprocess.run(roots.inside(root, ["sh", "-c", text], [shared]))
    assert done.returncode == 0
    assert (shared / "out").read_text() == "hello"
    # Nothing is mounted here.
    assert str(root) not in Path("/proc/self/mounts").read_text()


def test_a_failing_apt_says_why(apt: Path, tmp_path: Path) -> None:
    text = "[ $2 = -q ] && exit; echo 'E: no such package' >&2; exit 100"
    (tmp_path / "bin/apt-get").write_text(f"#!/bin/sh\n{text}\n")
    with pytest.raises(UbError, match="fetch gcc-14 from trixie: no such package"):
        roots.fetch_root("trixie", "gcc-14", "linux-kbuild-6")
    assert not list((tmp_path / "cache/roots").glob("trixie*/"))


def test_a_root_with_packages_has_dpkgs_answers(apt: Path) -> None:
    root = roots.fetch_packages("trixie", "deb", ["tools", "lintian"])
    assert {"tools", "lintian"} <= set(apt.read_text().splitlines()[-1].split())
    status = (root / "var/lib/dpkg/status").read_text()
    assert "Package: tools\nStatus: install ok installed\n" in status
    calls = len(apt.read_text().splitlines())
    assert roots.fetch_packages("trixie", "deb", ["lintian", "tools"]) == root
    assert len(apt.read_text().splitlines()) == calls
    # Other packages, another directory.
    assert roots.fetch_packages("trixie", "deb", ["tools"]) != root
