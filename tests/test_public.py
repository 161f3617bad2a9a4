# SPDX-License-Identifier: GPL-2.0-only
"""What a module offers to others is listed in ``__all__`` and documented."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.places import ROOT

_SOURCE = ROOT / "src" / "ubypass"
_Definition = ast.FunctionDef | ast.ClassDef


def _modules() -> list[Path]:
    """All of the package, but for those that only start a program."""
    return sorted(p for p in _SOURCE.rglob("*.py") if p.name != "__main__.py")


def _named(path: Path) -> str:
    return str(path.relative_to(_SOURCE))


def _is_public(name: str) -> bool:
    return not name.startswith("_")


def _bound(module: ast.Module) -> set[str]:
    """Names of the module, imported ones as well."""
    found = {n.id for n in ast.walk(module) if isinstance(n, ast.Name)}
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
    return found | set(_definitions(module.body))


def _assigned(module: ast.Module) -> Iterator[tuple[str, ast.expr | None]]:
    for node in module.body:
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign):
            targets = [node.target]
        for target in targets:
            if isinstance(target, ast.Name):
                yield target.id, getattr(node, "value", None)


def _definitions(body: list[ast.stmt]) -> dict[str, _Definition]:
    found: dict[str, _Definition] = {}
    for node in body:
        if isinstance(node, _Definition):
            # Of a property the getter, which comes first.
            found.setdefault(node.name, node)
    return found


def _offered(module: ast.Module) -> list[str] | None:
    """The names in ``__all__``; None if there is no such list."""
    for name, value in _assigned(module):
        if name == "__all__" and value is not None:
            names: list[str] = ast.literal_eval(value)
            return names
    return None


def _undocumented(module: ast.Module) -> list[str]:
    """Functions, classes and their methods in ``__all__`` without a docstring.

    The members of a protocol are documented where they are implemented.
    """
    offered = _offered(module) or []
    missing = [] if ast.get_docstring(module) else ["the module itself"]
    for name, node in _definitions(module.body).items():
        if name not in offered:
            continue
        if not ast.get_docstring(node):
            missing.append(name)
        if isinstance(node, ast.ClassDef) and not any(
            ast.unparse(base) == "Protocol" for base in node.bases
        ):
            missing += [
                f"{name}.{method}"
                for method, found in _definitions(node.body).items()
                if _is_public(method) and not ast.get_docstring(found)
            ]
    return missing


@pytest.mark.parametrize("path", _modules(), ids=_named)
def test_public_names_are_listed_and_documented(path: Path) -> None:
    module = ast.parse(path.read_text("utf-8"))
    offered = _offered(module)
    if offered is None:
        names = [*(name for name, _ in _assigned(module)), *_definitions(module.body)]
        assert [name for name in names if _is_public(name)] == []
    else:
        assert [name for name in offered if name not in _bound(module)] == []
        # What is not offered is private, and says so.
        hidden = [n for n in _definitions(module.body) if _is_public(n)]
        assert [name for name in hidden if name not in offered] == []
    assert _undocumented(module) == []


def test_what_lacks_documentation_is_found() -> None:
    module = ast.parse(
        '"""About."""\n'
        '__all__ = ["A", "P", "f"]\n'
        "class A:\n"
        '    """Documented."""\n'
        "    def known(self): ...\n"
        "    def _private(self): ...\n"
        "class P(Protocol):\n"
        '    """Documented."""\n'
        "    def member(self): ...\n"
        "def f(): ...\n"
        "def g(): ...\n"
    )
    assert _offered(module) == ["A", "P", "f"]
    assert _undocumented(module) == ["A.known", "f"]
    assert _undocumented(ast.parse("x = 1")) == ["the module itself"]
