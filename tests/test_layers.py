# SPDX-License-Identifier: GPL-2.0-only
"""Packages import only what CONTRIBUTING.md, "Where things are", allows them."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.places import ROOT

_SOURCE = ROOT / "src" / "ubypass"
_GUIDE = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
_ROW = re.compile(r"^\| `([\w/.]+)` \|(.*)\|(.*)\|$", re.MULTILINE)


def _rows(guide: str) -> list[tuple[str, str, str]]:
    """First, second and third column of the tables in "Where things are"."""
    section = guide.split("## Where things are\n")[1].split("\n## ")[0]
    found: list[tuple[str, str, str]] = _ROW.findall(section)
    return found


def _words(column: str) -> frozenset[str]:
    return frozenset(re.findall(r"`(\w+)`", column))


def _allowed(guide: str) -> dict[str, frozenset[str]]:
    """What each package or module may import, in the order of the table."""
    return {
        name.removesuffix("/").removesuffix(".py"): _words(imports)
        for name, _, imports in _rows(guide)
        if (name.endswith("/") or "/" not in name) and name.count("/") <= 1
    }


def _owner(path: Path) -> str:
    return path.relative_to(_SOURCE).parts[0].removesuffix(".py")


def _imports(text: str) -> set[str]:
    """Packages and modules of ubypass that a source imports, for types as well."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.level:
            # Allowed in no row: names would hide what package it is.
            found.add("a relative import")
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            parts = node.module.split(".")
            if parts[0] == "ubypass":
                names = [alias.name for alias in node.names]
                found.update(parts[1:2] or names)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                parts = alias.name.split(".")
                if parts[0] == "ubypass" and parts[1:]:
                    found.add(parts[1])
    return found


_FILES = sorted(_SOURCE.rglob("*.py"))


@pytest.mark.parametrize("path", _FILES, ids=lambda p: str(p.relative_to(_SOURCE)))
def test_imports_only_what_its_row_allows(path: Path) -> None:
    owner = _owner(path)
    allowed = _allowed(_GUIDE)[owner]
    assert _imports(path.read_text("utf-8")) - {owner} <= allowed


def test_the_table_names_what_there_is() -> None:
    assert _allowed(_GUIDE).keys() == {_owner(path) for path in _FILES}


def _upwards(allowed: Mapping[str, frozenset[str]]) -> list[tuple[str, str]]:
    """Imports of a row from below it, or of itself."""
    above: set[str] = set()
    found = []
    for name, imports in allowed.items():
        found += [(name, other) for other in sorted(imports) if other not in above]
        above.add(name)
    return found


def test_rows_point_upwards_so_there_is_no_cycle() -> None:
    assert _upwards(_allowed(_GUIDE)) == []


def _siblings(text: str, package: str) -> set[str]:
    """The files of its own package that a source imports, for types as well."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            parts = node.module.split(".")
            if parts[:2] == ["ubypass", package]:
                found.update(parts[2:3] or [alias.name for alias in node.names])
    return found


@pytest.mark.parametrize(
    "package",
    sorted({p.parent for p in _FILES if p.parent.parent == _SOURCE}),
    ids=lambda p: p.name,
)
def test_files_of_a_package_are_no_cycle(package: Path) -> None:
    graph = {
        path.stem: _siblings(path.read_text("utf-8"), package.name) - {path.stem}
        for path in package.glob("*.py")
    }
    # Raises CycleError, which names the files.
    TopologicalSorter(graph).prepare()


def test_a_cycle_of_files_is_found() -> None:
    graph = {
        "a": _siblings("from ubypass.low.b import x\n", "low"),
        "b": _siblings("from ubypass.low import a\n", "low"),
    }
    with pytest.raises(CycleError):
        TopologicalSorter(graph).prepare()


def test_what_points_downwards_is_found() -> None:
    guide = (
        "# A\n\n## Where things are\n\n| part | subject | imports |\n|---|---|---|\n"
        "| `low/` | below | `high` |\n| `high/` | `above` | `low` `mid` |\n\n"
        "## Rules\n\n| `x/` | | `y` |\n"
    )
    assert _allowed(guide) == {"low": {"high"}, "high": {"low", "mid"}}
    assert _upwards(_allowed(guide)) == [("low", "high"), ("high", "mid")]


def test_imports_are_found_wherever_they_are() -> None:
    text = "import os, ubypass.lab.run\ndef f():\n    from ubypass.cli import attach\n"
    assert _imports(text + "from ubypass import abi, verify\n") == {
        *("lab", "cli", "abi", "verify"),
    }
    assert _imports("from .other import name\n") == {"a relative import"}
