# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import ubypass
from tests.places import ROOT
from ubypass import places


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("UBYPASS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(places.BUILD_VARIABLE, raising=False)
    return tmp_path / "cache"


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path) -> Path:
    """Another checkout, which the package seems to run from."""
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.setattr(places, "checkout", lambda: root)
    return root


def _refusing(monkeypatch: pytest.MonkeyPatch, *refused: Path) -> None:
    """As for a user who may not write there: root may write everywhere."""
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) not in refused)


def test_the_checkout() -> None:
    assert places.checkout() == ROOT
    assert places.kernel_sources() == ROOT / "kernel"
    assert places.workload_sources() == ROOT / "workloads"


def test_cache_dir(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("UBYPASS_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert places.cache_dir() == tmp_path / "ubypass"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert places.cache_dir() == Path("/home/me/.cache/ubypass")
    monkeypatch.setenv("UBYPASS_CACHE", "/c")
    assert places.cache_dir() == Path("/c")


def test_a_checkout_builds_in_itself(project: Path) -> None:
    assert places.build_dir() == project / "build"
    assert places.module_file("6.1.0-1-amd64") == (
        project / "build" / "kernel" / "6.1.0-1-amd64" / "ub.ko"
    )


@pytest.mark.parametrize("name", ["two words", "a:b", "tab\there"])
def test_what_the_kernels_makefiles_cannot_read_is_not_used(
    project: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(places, "checkout", lambda: project / name)
    found = places.build_dir()
    assert found.parent == cache / "build"
    monkeypatch.setattr(places, "checkout", lambda: project / name / "other")
    assert places.build_dir() != found


@pytest.mark.parametrize(
    "refused", [".", "build", "build/kernel", "build/kernel/6.1.0-1-amd64"]
)
def test_what_somebody_else_owns_is_not_used(
    project: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    if refused != ".":
        (project / "build" / "kernel" / "6.1.0-1-amd64").mkdir(parents=True)
    assert places.build_dir() == project / "build"
    _refusing(monkeypatch, project / refused)
    assert places.build_dir().parent == cache / "build"


def test_installed_it_builds_in_the_cache(
    monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setattr(places, "checkout", lambda: None)
    assert places.build_dir().parent == cache / "build"


def test_other_sources_are_built_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(places, "_SOURCES", tmp_path)
    for name in "kernel", "workloads":
        (tmp_path / name).mkdir()
    names = set()
    for text in "one", "two":
        (tmp_path / "kernel" / "a.c").write_text(text)
        places._digest_of_sources.cache_clear()
        names.add(places._digest_of_sources())
    (tmp_path / "kernel" / "a.c").rename(tmp_path / "workloads" / "a.c")
    places._digest_of_sources.cache_clear()
    names.add(places._digest_of_sources())
    places._digest_of_sources.cache_clear()
    assert len(names) == 3


def test_the_lab_chooses_for_its_guest(
    monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    monkeypatch.setenv(places.BUILD_VARIABLE, "/elsewhere")
    assert places.build_dir() == Path("/elsewhere")


def test_another_python_finds_this_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even one that looks at nothing but its own library."""
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    environment = places.own_environment()
    command = [sys.executable, "-S", "-c", "import ubypass; print(ubypass.__file__)"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == str(Path(ubypass.__file__))
    assert environment["PYTHONPATH"].endswith(":/nowhere")


def test_a_checkout_is_no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not places.packaged()
    monkeypatch.setattr(places, "_PACKAGE", Path("/usr/lib/ubypass/ubypass"))
    assert places.packaged()
