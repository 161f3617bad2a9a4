# SPDX-License-Identifier: GPL-2.0-only
"""Each field of an object of the translator is changed in the file of its class only.

Other files call methods. What a name refers to is inferred from annotations; an
attribute of an object of unknown class counts if a class of the package has it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import ubypass.translate

_PACKAGE = Path(ubypass.translate.__file__).parent
_KINDS = frozenset({"list", "dict", "set", "bytearray", "deque"})
_MUTATORS = frozenset(
    {
        *("add", "append", "appendleft", "clear", "discard", "extend", "insert"),
        *("pop", "popitem", "popleft", "remove", "reverse", "setdefault", "sort"),
        *("difference_update", "intersection_update", "update"),
    }
)

# The annotation of an expression; None: unknown.
_Type = ast.expr | None


class _Classes:
    """The fields of all classes of a package, with their annotations."""

    def __init__(self, sources: dict[str, str]) -> None:
        self.trees = {name: ast.parse(text) for name, text in sources.items()}
        self.fields: dict[str, dict[str, _Type]] = {}
        self.methods: dict[str, dict[str, _Type]] = {}
        self.file: dict[str, str] = {}
        #: What functions of the package return.
        self.functions: dict[str, _Type] = {}
        for name, tree in self.trees.items():
            for node in tree.body:
                if isinstance(node, ast.FunctionDef):
                    self.functions[node.name] = node.returns
                elif isinstance(node, ast.ClassDef):
                    self.file[node.name] = name
                    self.methods[node.name] = {
                        f.name: f.returns
                        for f in node.body
                        if isinstance(f, ast.FunctionDef)
                    }
        for tree in self.trees.values():
            for node in tree.body:
                if isinstance(node, ast.ClassDef):
                    self.fields[node.name] = dict(self._fields(node))
        self.names = {field for known in self.fields.values() for field in known}

    def _fields(self, node: ast.ClassDef) -> Iterator[tuple[str, _Type]]:
        for part in node.body:
            if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
                yield part.target.id, part.annotation
            elif isinstance(part, ast.FunctionDef) and part.name == "__init__":
                scope = _parameters(part)
                for target, value, said in _assigned(part):
                    if _is_self(target):
                        assert isinstance(target, ast.Attribute)
                        yield target.attr, said or self._made(value, scope)

    def _called(self, function: ast.Name) -> _Type:
        """What a call of ``function`` gives."""
        if function.id in self.functions:
            return self.functions[function.id]
        return function if function.id[0].isupper() or function.id in _KINDS else None

    def _made(self, value: ast.expr | None, scope: dict[str, _Type]) -> _Type:
        """The annotation of what ``__init__`` assigns to a field."""
        if isinstance(value, ast.Name):
            return scope.get(value.id)
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
            return self._called(value.func)
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
            return self._made(value.func.value, scope)
        return _literal(value)

    def of(self, expr: ast.expr, scope: dict[str, _Type]) -> _Type:
        """The annotation of ``expr``."""
        if isinstance(expr, ast.Name):
            return scope.get(expr.id)
        if isinstance(expr, ast.Attribute):
            owner = _class(self.of(expr.value, scope))
            found = self.fields.get(owner, {}).get(expr.attr)
            return found or self.methods.get(owner, {}).get(expr.attr)
        if isinstance(expr, ast.Subscript):
            outer = self.of(expr.value, scope)
            if isinstance(outer, ast.Subscript):
                parts = outer.slice
                return parts.elts[-1] if isinstance(parts, ast.Tuple) else parts
        if isinstance(expr, ast.Call):
            if isinstance(expr.func, ast.Attribute) and expr.func.attr == "copy":
                return self.of(expr.func.value, scope)
            if isinstance(expr.func, ast.Attribute):
                return self.of(expr.func, scope)
            if isinstance(expr.func, ast.Name):
                return self._called(expr.func)
        return _literal(expr)


def _class(said: _Type) -> str:
    """The name of the class that an annotation is about: of ``X | None`` it is X."""
    if isinstance(said, ast.BinOp):
        return _class(said.left)
    if isinstance(said, ast.Subscript):
        return _class(said.value)
    return said.id if isinstance(said, ast.Name) else ""


def _literal(value: ast.expr | None) -> _Type:
    kinds = {ast.List: "list", ast.Dict: "dict", ast.Set: "set"}
    name = kinds.get(type(value))  # type: ignore[arg-type]
    return ast.Name(name) if name else None


def _is_self(expr: ast.expr) -> bool:
    return (
        isinstance(expr, ast.Attribute)
        and isinstance(expr.value, ast.Name)
        and expr.value.id == "self"
    )


def _parameters(function: ast.FunctionDef) -> dict[str, _Type]:
    arguments = function.args
    return {
        a.arg: a.annotation
        for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    }


def _assigned(
    function: ast.AST,
) -> Iterator[tuple[ast.expr, ast.expr | None, _Type]]:
    """Target, value and annotation of each assignment."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                yield from _pairs(target, node.value)
        elif isinstance(node, ast.AnnAssign):
            yield node.target, node.value, node.annotation
        elif isinstance(node, ast.AugAssign):
            yield node.target, None, None
        elif isinstance(node, ast.Delete):
            for target in node.targets:
                yield target, None, None


def _pairs(
    target: ast.expr, value: ast.expr
) -> Iterator[tuple[ast.expr, ast.expr | None, _Type]]:
    if not isinstance(target, ast.Tuple):
        yield target, value, None
        return
    values: list[ast.expr | None] = [None] * len(target.elts)
    if isinstance(value, ast.Tuple):
        values = [*value.elts]
    for part, what in zip(target.elts, values, strict=True):
        yield part, what, None


def _writes(sources: dict[str, str]) -> list[tuple[str, str]]:
    """Class and ``file:line: function: expression`` of each write to a field of another
    file's object.
    """
    classes = _Classes(sources)
    found = []
    for name, tree in classes.trees.items():
        for at, function, inside in _functions(tree):
            scope = _parameters(function)
            if inside:
                scope["self"] = ast.Name(inside)
            for target, value, said in _assigned(function):
                if isinstance(target, ast.Name):
                    known = said or (classes.of(value, scope) if value else None)
                    scope[target.id] = known or scope.get(target.id)
            for node in ast.walk(function):
                if isinstance(node, ast.For) and isinstance(node.target, ast.Name):
                    each = ast.Subscript(node.iter, ast.Constant(0), ast.Load())
                    scope.setdefault(node.target.id, classes.of(each, scope))
            for field in _changed(function, classes, scope):
                owner = _class(classes.of(field.value, scope))
                if owner:
                    foreign = owner in classes.file and classes.file[owner] != name
                else:
                    foreign = field.attr in classes.names and not any(
                        field.attr in known and classes.file[cls] == name
                        for cls, known in classes.fields.items()
                    )
                if foreign:
                    where = f"{name}:{field.lineno}: {at}: {ast.unparse(field)}"
                    found.append((owner, where))
    return sorted(set(found))


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef, str]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node, ""
        elif isinstance(node, ast.ClassDef):
            for part in node.body:
                if isinstance(part, ast.FunctionDef):
                    yield f"{node.name}.{part.name}", part, node.name


def _changed(
    function: ast.FunctionDef, classes: _Classes, scope: dict[str, _Type]
) -> Iterator[ast.Attribute]:
    """The fields that ``function`` assigns to, or to a part of, or changes in place."""
    for target, _, _ in _assigned(function):
        while isinstance(target, ast.Subscript):
            target = target.value
            if isinstance(target, ast.Name):
                # An alias of a field.
                target = _alias(function, target.id) or target
        if isinstance(target, ast.Attribute):
            yield target
    for node in ast.walk(function):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        changed = node.func.value
        if isinstance(changed, ast.Name):
            changed = _alias(function, changed.id) or changed
        if (
            node.func.attr in _MUTATORS
            and isinstance(changed, ast.Attribute)
            and _class(classes.of(changed, scope)) in _KINDS
        ):
            yield changed


def _alias(function: ast.FunctionDef, name: str) -> ast.Attribute | None:
    for target, value, _ in _assigned(function):
        if (
            isinstance(target, ast.Name)
            and target.id == name
            and isinstance(value, ast.Attribute)
        ):
            return value
    return None


_OWNER = """
class Account:
    def __init__(self) -> None:
        self.total = 0
        self.log: list[int] = []

class Bank:
    def __init__(self, account: Account) -> None:
        self.account = account
        self.code = bytearray()
        self.branches = branches(account)

def branches(account: Account) -> dict[int, Account]:
    return {0: account}

def opened() -> Account:
    return Account()

def inside(account: Account) -> None:
    account.total = 1
"""


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("account.total = 1", "account.total"),
        ("account.total += 1", "account.total"),
        ("other, account.total = 1, 2", "account.total"),
        ("bank.account.total = 1", "bank.account.total"),
        ("account.log[0] = 1", "account.log"),
        ("del account.log[0]", "account.log"),
        ("account.log.append(1)", "account.log"),
        ("log = account.log; log[0] = 1", "account.log"),
        ("log = account.log; log.clear()", "account.log"),
        ("mine = bank.account; mine.total = 1", "mine.total"),
        ("for each in accounts: each.total = 1", "each.total"),
        ("opened().total = 1", "opened().total"),
        ("opened().log.clear()", "opened().log"),
        ("bank.branches[0].total = 1", "bank.branches[0].total"),
        ("unknown().total = 1", "unknown().total"),
        ("unknown().colour = 1", ""),
        ("total = account.total; total += 1", ""),
        ("foreign.code = 1", ""),
        ("made = foreign.copy(); made.code = 1", ""),
        ("bank.deposit(1)", ""),
    ],
)
def test_what_counts_as_a_write(statement: str, found: str) -> None:
    user = (
        "def use(account: Account, bank: Bank, accounts: list[Account], "
        f"foreign: Instruction) -> None:\n    {statement}"
    )
    writes = _writes({"owner.py": _OWNER, "user.py": user})
    assert [at.rpartition(": ")[2] for _, at in writes] == ([found] if found else [])


def test_fields_change_in_the_file_of_their_class_only() -> None:
    sources = {p.name: p.read_text("utf-8") for p in sorted(_PACKAGE.glob("*.py"))}
    assert [at for _, at in _writes(sources)] == []
