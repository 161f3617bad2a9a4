# SPDX-License-Identifier: GPL-2.0-only
"""Wheels are pure Python unless a compiled one is asked for; ``make test-wheels``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import wheels
from tests.coverage.build import shared
from tests.places import ROOT
from ubypass.compiled import fresh

_ASK = """
from setuptools import build_meta
print("wants", *build_meta.get_requires_for_build_wheel())
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A project of this name with one module."""
    (tmp_path / "src" / "ubypass").mkdir(parents=True)
    (tmp_path / "src" / "ubypass" / "__init__.py").write_text("")
    (tmp_path / "src" / "ubypass" / "version.py").write_text('VERSION = "1"\n')
    for name in "setup.py", "pyproject.toml", "README.md":
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    return tmp_path


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What a wheel is made of, with what ``make`` has compiled."""
    compiled = ROOT / "build" / "compiled"
    if not fresh(ROOT / "src", compiled):
        pytest.skip("the sources are not compiled: make prepare compiles them")
    tree = tmp_path / "checkout"
    rubbish = shutil.ignore_patterns("*.egg-info", "__pycache__", "*.o")
    for name in "src", "kernel", "workloads", "tools":
        shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=rubbish)
    shutil.copytree(compiled, tree / "build" / "compiled")
    for name in "setup.py", "pyproject.toml", "README.md":
        shutil.copy(ROOT / name, tree)
    return tree


@pytest.mark.parametrize("wanted", [True, False])
def test_what_is_compiled_already_is_taken(
    checkout: Path, tmp_path: Path, wanted: bool
) -> None:
    pip = [sys.executable, "-m", "pip", "-q"]
    alone = ["--no-deps", "--no-index"]
    subprocess.run(
        [*pip, "wheel", *alone, "--no-build-isolation", "-w", tmp_path, checkout],
        env={**os.environ, "UBYPASS_COMPILE": "1" if wanted else ""},
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    assert ("-py3-none-any" in wheel.name) is not wanted
    site = tmp_path / "site"
    subprocess.run([*pip, "install", *alone, "--target", site, wheel], check=True)
    made = {path.name for path in site.rglob("*.so")}
    assert made == {
        path.name for path in (checkout / "build" / "compiled").rglob("*.so") if wanted
    }
    if wanted:
        library = shared(wheels.CODE, tmp_path)
        places = wheels.files(sys.executable, PYTHONPATH=str(site))
        assert [path for path in places if not path.endswith(".so")] == []
        assert all(path.startswith(str(site)) for path in places)
        compiled = wheels.translated(sys.executable, library, PYTHONPATH=str(site))
        plain = wheels.translated(sys.executable, library, UBYPASS_PURE="1")
        assert compiled == plain


@pytest.mark.parametrize(("value", "wants"), [("", ""), ("1", "mypy>=1.10")])
def test_the_compiler_is_wanted_on_request_only(
    tree: Path, value: str, wants: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _ASK],
        cwd=tree,
        env={**os.environ, "UBYPASS_COMPILE": value},
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = (each for each in done.stdout.splitlines() if each.startswith("wants"))
    assert line.removeprefix("wants").strip() == wants


def test_the_compiler_is_that_of_the_project() -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    assert '"mypy>=1.10"' in text
    assert '_COMPILER = ["mypy>=1.10"]' in (ROOT / "setup.py").read_text("utf-8")


def test_what_is_translated_has_sense(tmp_path: Path) -> None:
    library = shared(wheels.CODE, tmp_path)
    found = wheels.translated(sys.executable, library)
    assert found["verified"]
    assert found["dispatches"]


def test_what_fails_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert wheels.main(["/bin/false"]) == 1
    assert "FAILED: /bin/false -m pip" in capsys.readouterr().err
