# SPDX-License-Identifier: GPL-2.0-only
"""What guards the translator survives ``python -O``."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.places import ROOT
from ubypass.translate.invariant import require

_FILES = [
    path
    for part in ("region", "translate", "verify")
    for path in sorted((ROOT / "src" / "ubypass" / part).glob("*.py"))
]


def test_a_contradiction_is_raised() -> None:
    require(True, "fine")
    with pytest.raises(AssertionError, match="dead flags are read"):
        require(False, "dead flags are read")


def _narrows(test: ast.expr) -> bool:
    """Whether an assertion only tells the type checker what a value is."""
    if isinstance(test, ast.Call):
        return ast.unparse(test.func) == "isinstance"
    return isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.IsNot)


@pytest.mark.parametrize("path", _FILES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_assertions_are_for_types_only(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    found = [node.test for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    assert [ast.unparse(test) for test in found if not _narrows(test)] == []
