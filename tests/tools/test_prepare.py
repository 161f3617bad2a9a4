# SPDX-License-Identifier: GPL-2.0-only
"""What a newcomer sees while the machine is made ready: little, unless it fails."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.places import ROOT

_NOISE = "WARNING: this is of no interest"


class _Project:
    """A checkout with played tools: pip, the compiler, and what lists packages."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "tools").mkdir()
        shutil.copy(ROOT / "tools" / "prepare.sh", root / "tools")
        (root / "pyproject.toml").touch()
        self.called = root / "called"
        self.log = root / "build" / "prepare.log"
        self.plays("tools/packages.sh", "")
        self.pip(f'echo "pip $*" >> {self.called}; echo "{_NOISE}"')
        self.compiler(0)

    def pip(self, text: str) -> None:
        self.plays(".venv/bin/pip", f"# {self.root}/.venv/bin/python\n{text}")

    def compiler(self, status: int) -> None:
        check = 'case "$*" in *--check) exit 1 ;; esac'
        self.plays(
            ".venv/bin/python",
            f'{check}; echo compile >> {self.called}; echo "{_NOISE}"; exit {status}',
        )

    def plays(self, name: str, text: str) -> None:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)

    def prepare(self, purpose: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment = {k: v for k, v in os.environ.items() if k != "UBYPASS_PURE"}
        return subprocess.run(
            [self.root / "tools" / "prepare.sh", purpose],
            env={**environment, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def calls(self) -> list[str]:
        found = self.called.read_text().splitlines() if self.called.exists() else []
        self.called.unlink(missing_ok=True)
        return found


@pytest.fixture
def project(tmp_path: Path) -> _Project:
    return _Project(tmp_path)


def test_a_line_for_each_step_and_no_noise(project: _Project) -> None:
    done = project.prepare("run")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert [line.startswith("ubypass: ") for line in lines] == [True, True]
    assert _NOISE not in done.stdout
    assert _NOISE in project.log.read_text()


def test_each_purpose_installs_what_it_needs_once(project: _Project) -> None:
    project.prepare("run", UBYPASS_PURE="1")
    assert project.calls() == ["pip install --disable-pip-version-check -e .[compile]"]
    assert project.prepare("run", UBYPASS_PURE="1").stdout == ""
    project.prepare("bench", UBYPASS_PURE="1")
    assert project.calls() == ["pip install --disable-pip-version-check -e .[bench]"]
    assert project.prepare("bench", UBYPASS_PURE="1").stdout == ""
    project.prepare("test", UBYPASS_PURE="1")
    assert project.calls() == ["pip install --disable-pip-version-check -e .[test]"]
    for purpose in ("test", "bench"):
        assert project.prepare(purpose, UBYPASS_PURE="1").stdout == ""
    assert project.prepare("run", UBYPASS_PURE="1").stdout == ""


def test_a_changed_project_is_installed_again(project: _Project) -> None:
    project.prepare("run", UBYPASS_PURE="1")
    project.calls()
    stamp = project.root / ".venv" / ".ready-compile"
    os.utime(stamp, (1, 1))
    project.prepare("run", UBYPASS_PURE="1")
    assert len(project.calls()) == 1


def test_a_moved_checkout_gets_a_new_environment(project: _Project) -> None:
    project.prepare("run", UBYPASS_PURE="1")
    project.plays(".venv/bin/pip", "# /where/it/was/.venv/bin/python\nexit 126")
    made = 'mkdir -p "$4/bin"; cp played "$4/bin/pip"'
    project.plays("fake/python3", f'echo "$*" >> {project.called}; {made}')
    project.plays("played", f"# {project.root}/.venv/bin/python\n")
    project.calls()
    path = f"{project.root / 'fake'}:{os.environ['PATH']}"
    assert project.prepare("run", UBYPASS_PURE="1", PATH=path).returncode == 0
    assert project.calls() == ["-m venv --clear .venv"]


def test_what_fails_is_shown(project: _Project) -> None:
    project.compiler(3)
    done = project.prepare("run")
    assert done.returncode == 3
    assert _NOISE in done.stdout
    assert "compiling the translator" in done.stdout.splitlines()[-2]
    assert "UBYPASS_PURE=1" in done.stdout
    assert "build/prepare.log" in done.stdout.splitlines()[-1]


def test_a_failed_installation_is_tried_again(project: _Project) -> None:
    project.pip(f"echo pip >> {project.called}; exit 1")
    assert project.prepare("run").returncode == 1
    assert project.prepare("run").returncode == 1
    assert project.calls() == ["pip", "pip"]


def test_missing_packages_are_installed_before_all_else(project: _Project) -> None:
    project.plays(
        "tools/packages.sh",
        f'[ "$1" = --missing ] && echo " gcc" ||echo "packages $*" >> {project.called}',
    )
    project.plays("fake/id", "echo 0")
    path = f"{project.root / 'fake'}:{os.environ['PATH']}"
    done = project.prepare("test", PATH=path)
    assert done.stdout.splitlines()[0] == "ubypass: installing Debian packages: gcc"
    assert project.calls()[0] == "packages test"


def test_a_long_list_fits_the_screen(project: _Project) -> None:
    names = " ".join(f"package-{n}" for n in range(20))
    project.plays("tools/packages.sh", f'[ "$1" != --missing ] || echo " {names}"')
    project.plays("fake/id", "echo 0")
    path = f"{project.root / 'fake'}:{os.environ['PATH']}"
    done = project.prepare("run", PATH=path)
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    assert "package-19" in done.stdout


def test_a_user_is_told_about_packages_and_no_more(project: _Project) -> None:
    project.plays(
        "tools/packages.sh",
        '[ "$1" = --missing ] && echo " gcc" || { echo "install gcc" >&2; exit 1; }',
    )
    project.plays("fake/id", "echo 1000")
    path = f"{project.root / 'fake'}:{os.environ['PATH']}"
    done = project.prepare("run", PATH=path)
    assert (done.returncode, done.stdout) == (1, "install gcc\n")
    assert project.calls() == []
