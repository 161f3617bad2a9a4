# SPDX-License-Identifier: GPL-2.0-only
"""What ``pip install`` makes of the project works away from the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.places import ROOT
from ubypass.lab.kernels import cached_releases, headers_dir, suite_of
from ubypass.places import cache_dir

_PARTS = ("src", "kernel", "workloads", "pyproject.toml", "README.md", "COPYING")


class _Installed:
    """The package in a directory of its own, and a home that has nothing yet."""

    def __init__(self, root: Path) -> None:
        tree = root / "checkout"
        tree.mkdir()
        rubbish = shutil.ignore_patterns("*.egg-info", "__pycache__", "*.o", "*.so")
        for name in _PARTS:
            part = ROOT / name
            if part.is_dir():
                shutil.copytree(part, tree / name, symlinks=True, ignore=rubbish)
            else:
                shutil.copy(part, tree)
        self.site = root / "site"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        pip += ["--no-build-isolation", "--no-index", "--target", str(self.site)]
        subprocess.run([*pip, str(tree)], check=True)
        shutil.rmtree(tree)
        # Nothing may be written there.
        self.files = self._listing()
        self.cache = root / "cache"
        self.home = root / "home"
        self.home.mkdir()

    def _listing(self) -> list[str]:
        found = (p for p in self.site.rglob("*") if "__pycache__" not in p.parts)
        return sorted(str(path) for path in found)

    def python(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {k: v for k, v in os.environ.items() if "UBYPASS" not in k}
        environment.update(
            PYTHONPATH=str(self.site),
            HOME=str(self.home),
            UBYPASS_CACHE=str(self.cache),
        )
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.home,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert self._listing() == self.files
        return done

    def ub(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.python(str(self.site / "bin" / "ub"), *words)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> _Installed:
    return _Installed(tmp_path_factory.mktemp("installed"))


def test_it_is_what_runs(installed: _Installed) -> None:
    done = installed.python("-c", "import ubypass; print(ubypass.__file__)")
    assert done.stdout.startswith(str(installed.site))


def test_every_source_comes_along(installed: _Installed) -> None:
    for name in "kernel", "workloads":
        there = installed.site / "ubypass" / "sources" / name
        wanted = [
            path.relative_to(ROOT / name)
            for path in (ROOT / name).rglob("*")
            if path.suffix in (".c", ".h", ".S", ".lua") or path.name == "Kbuild"
        ]
        assert wanted
        for path in wanted:
            assert (there / path).read_bytes() == (ROOT / name / path).read_bytes()


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["module", "build", "--help"], ["bench", "-h"]]
)
def test_commands_answer(installed: _Installed, words: list[str]) -> None:
    done = installed.ub(*words)
    assert (done.returncode, done.stderr) == (0, "")


def test_it_calibrates_without_a_compiler(installed: _Installed) -> None:
    done = installed.ub("calibrate", "--anyway", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["measured"]
    assert list((installed.cache / "calibration").iterdir())


def test_doctor_answers(installed: _Installed) -> None:
    done = installed.ub("doctor", "--json")
    assert json.loads(done.stdout)
    assert done.stderr == ""


def test_workloads_build_and_run(installed: _Installed) -> None:
    script = "from ubypass.bench.workloads import build_workloads as b; print(*b())"
    done = installed.python("-c", script)
    assert done.returncode == 0, done.stderr
    programs = [Path(word) for word in done.stdout.split()]
    assert programs
    for program in programs:
        assert program.is_relative_to(installed.cache)
        assert os.access(program, os.X_OK)


def test_the_module_builds(installed: _Installed) -> None:
    """With headers that the checkout's cache has: nothing is downloaded here."""
    found = [
        release
        for release in cached_releases()
        if headers_dir(cache_dir() / "kernels" / release / "headers", release).exists()
        and suite_of(release) is None  # else a compiler would be downloaded
    ]
    if not found:
        pytest.skip("no kernel headers in the cache: make module fetches some")
    release = found[-1]
    kernels = installed.cache / "kernels"
    kernels.mkdir(parents=True, exist_ok=True)
    (kernels / release).symlink_to(cache_dir() / "kernels" / release)
    done = installed.ub("module", "build", "--kernel", release)
    assert done.returncode == 0, done.stderr
    (module,) = installed.cache.glob(f"build/*/kernel/{release}/ub.ko")
    assert module.read_bytes().startswith(b"\x7fELF")
    status = json.loads(installed.ub("module", "status", "--json").stdout)
    assert status["built_for"] == [release]
