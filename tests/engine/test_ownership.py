# SPDX-License-Identifier: GPL-2.0-only
"""State has one owner: what a class keeps is changed by its own methods only."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator

import pytest

from tests.places import ROOT
from ubypass.engine.group import Group
from ubypass.engine.profile import Profile
from ubypass.engine.suppressions import Suppression

_ENGINE = ROOT / "src" / "ubypass" / "engine"
_CHANGING = frozenset(
    {
        *("add", "append", "clear", "discard", "extend", "insert", "pop", "popitem"),
        *("remove", "setdefault", "update"),
    }
)
_OWNED = {
    "profile.py": {field.name for field in dataclasses.fields(Profile)} - {"limits"},
    "group.py": {field.name for field in dataclasses.fields(Group)} - {"region"},
    "suppressions.py": {field.name for field in dataclasses.fields(Suppression)},
}


def _changed(tree: ast.AST) -> Iterator[tuple[ast.expr, int]]:
    """All expressions that are assigned to, deleted, or changed by a method."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            yield from ((target, node.lineno) for target in node.targets)
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            yield node.target, node.lineno
        elif isinstance(node, ast.Delete):
            yield from ((target, node.lineno) for target in node.targets)
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in _CHANGING
        ):
            yield node.func.value, node.lineno


def _writes(text: str, names: set[str]) -> list[int]:
    """Lines that change a field of these ``names`` of an object other than self."""
    found = []
    for changed, line in _changed(ast.parse(text)):
        node = changed
        while isinstance(node, ast.Subscript):
            node = node.value
        if not isinstance(node, ast.Attribute) or node.attr not in names:
            continue
        owner = node.value
        if not (isinstance(owner, ast.Name) and owner.id == "self"):
            found.append(line)
    return found


@pytest.mark.parametrize("owner", _OWNED)
def test_only_the_owner_changes_its_fields(owner: str) -> None:
    assert (_ENGINE / owner).exists()
    found = {
        path.name: lines
        for path in sorted(_ENGINE.glob("*.py"))
        if path.name != owner and (lines := _writes(path.read_text(), _OWNED[owner]))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("line", "is_found"),
    [
        ("profile.entries = {}", True),
        ("self._profile.entries[ip] = site", True),
        ("del profile.entries[ip]", True),
        ("profile.barriers.add(ip)", True),
        ("profile.effort += 1", True),
        ("known = profile.entries[ip]", False),
        ("profile.remove_entry(ip)", False),
        ("self.entries = {}", False),
    ],
)
def test_a_change_from_outside_is_noticed(line: str, is_found: bool) -> None:
    assert bool(_writes(line, _OWNED["profile.py"])) is is_found
