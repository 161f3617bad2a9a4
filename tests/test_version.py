# SPDX-License-Identifier: GPL-2.0-only
"""One version, wherever it is said."""

from __future__ import annotations

import re
import tomllib

from tests.places import ROOT
from ubypass.version import VERSION


def _first(pattern: str, name: str) -> str:
    found = re.search(pattern, (ROOT / name).read_text(), re.MULTILINE)
    assert found is not None, f"{name} says no version"
    return found[1]


def test_it_is_three_numbers() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)


def test_the_module_says_the_same() -> None:
    assert _first(r'^MODULE_VERSION\("(.*)"\);', "kernel/main.c") == VERSION


def test_the_packages_say_the_same() -> None:
    assert _first(r"^ubypass \((.*)\) ", "debian/changelog") == VERSION


def test_the_changes_are_told() -> None:
    assert _first(r"^## (\S+)", "CHANGELOG.md") == VERSION


def test_the_project_asks_the_tool() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)
    assert project["project"]["dynamic"] == ["version"]
    setting = project["tool"]["setuptools"]["dynamic"]["version"]
    assert setting == {"attr": "ubypass.version.VERSION"}


def test_nobody_asks_what_pip_has_installed() -> None:
    """The Debian package has its modules in a directory that pip does not know."""
    asking = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "src").rglob("*.py")
        if re.search(r"\bimportlib(\.| import .*\b)metadata\b", path.read_text())
    ]
    assert asking == []
