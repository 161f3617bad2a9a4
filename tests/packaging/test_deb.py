# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.packaging.programs import program
from tests.places import ROOT
from ubypass.version import VERSION

deb = program("deb")

pytestmark = pytest.mark.skipif(
    shutil.which("git") is None or not (ROOT / ".git").exists(),
    reason="the source is what git lists",
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("export") / "tree"
    deb.export(place)
    return place


def test_the_source_is_what_git_lists(tree: Path) -> None:
    assert (tree / "debian" / "rules").stat().st_mode & 0o111
    assert (tree / "src/ubypass/sources/kernel").is_symlink()
    assert (tree / "src/ubypass/sources/kernel/main.c").is_file()
    assert not (tree / "build").exists()
    assert not (tree / ".venv").exists()


def test_every_file_of_the_module_is_in_its_package(tree: Path) -> None:
    """Those of debian/rules, and the list that git has."""
    rules = (tree / "debian" / "rules").read_text()
    found = re.search(r"cd kernel && cp --parents (.*) \$\(CURDIR\)", rules)
    assert found is not None
    shell = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {found[1]}"],
        capture_output=True,
        text=True,
        cwd=tree / "kernel",
    )
    kernel = tree / "kernel"
    wanted = {
        str(path.relative_to(kernel))
        for path in kernel.rglob("*")
        if path.is_file() and path.relative_to(kernel).parts[0] != "bench"
    }
    assert set(shell.stdout.split()) == wanted


def test_another_version_is_everywhere(tmp_path: Path) -> None:
    place = tmp_path / "tree"
    deb.export(place)
    deb.renumber(place, "9.8.7")
    assert '"9.8.7"' in (place / "src/ubypass/version.py").read_text()
    assert 'MODULE_VERSION("9.8.7")' in (place / "kernel/main.c").read_text()
    changelog = (place / "debian/changelog").read_text()
    assert changelog.startswith("ubypass (9.8.7) ")
    assert f"\nubypass ({VERSION}) " in changelog


def test_the_tools_are_those_that_the_control_file_wants() -> None:
    assert {"debhelper", "dh-dkms", "dh-python"} <= set(deb._build_depends())


def test_wheels_are_named_with_their_digests() -> None:
    lines = (ROOT / "packaging" / "wheels.txt").read_text().splitlines()
    wheels = [line for line in lines if line and not line.startswith("#")]
    project = (ROOT / "pyproject.toml").read_text()
    for wheel in wheels:
        found = re.fullmatch(r"([\w-]+)==(\S+) --hash=sha256:[0-9a-f]{64}", wheel)
        assert found is not None
        assert f'"{found[1]}' in project
    # The translator's figures and golden files are those of one version.
    assert any(wheel.split(" ")[0] in project for wheel in wheels)
