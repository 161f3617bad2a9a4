# SPDX-License-Identifier: GPL-2.0-only
"""Does the fuzzing find bugs? Plant one in each lowering rule and see.

``python -m tests.fuzz.mutate``: each entry of ``mutations.toml`` is applied to a copy
of the package, and a sample of a fixed seed runs with that copy until it finds
something: a difference, a refusal by the verifier, or a translator that contradicts
itself.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from tests.fuzz.forms import all_forms
from tests.fuzz.schedule import sample_of_form
from tests.fuzz.units import Unit, run_unit
from ubypass.errors import UbError

__all__ = [
    "Mutation",
    "Result",
    "apply",
    "catch",
    "changed",
    "matches",
    "mutations",
    "sample",
]

_HERE = Path(__file__).parent
_ROOT = _HERE.parent.parent
_PACKAGE = _ROOT / "src" / "ubypass"
_WANTED = 0.95
# Forms that a file's rules are mainly for: more instances of them, first. By parts of
# the form's name.
_LOOK: dict[str, tuple[str, ...]] = {
    "lea": ("LEA_R",),
    "string": ("MOVS", "STOS", "LODS", "SCAS", "CMPS"),
    "stack": ("PUSH", "POP_", "LEAVE"),
    "rcx_branches": ("LOOP", "CXZ"),
    "control": ("CALL", "RETN", "JMP_"),
    "x87": ("FLD", "FST", "FADD"),
    "shown": ("SBB_R", "CMC"),
    "lower": ("MOV_R64_RM64", "MOV_RM64_R64"),
}
_CAUGHT, _SURVIVED = 3, 0
# The translator and the verifier remember things, and know nothing of threads.
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True, slots=True)
class Mutation:
    """``before`` in ``function`` of ``file`` (below the package) becomes ``after``.

    ``function`` is a qualified name, such as ``State.join``, a class, or empty for the
    whole module. ``before`` and ``after`` are an expression or statements. Syntax is
    compared, so layout and comments do not matter. ``rule`` is what is broken and
    ``plants`` what the bug is.
    """

    file: str
    function: str
    rule: str
    plants: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Result:
    """``how`` it was caught, empty if it was not, and after how many seconds."""

    mutation: Mutation
    how: str
    seconds: float


@lru_cache(maxsize=1)
def mutations() -> tuple[Mutation, ...]:
    """All planted bugs."""
    data = tomllib.loads((_HERE / "mutations.toml").read_text("utf-8"))
    return tuple(Mutation(**entry) for entry in data["mutation"])


def matches(mutation: Mutation, tree: ast.Module) -> int:
    """How often ``before`` occurs in its function of a module's syntax tree.

    Zero if there is no such function. Raises SyntaxError for a fragment that is no
    Python.
    """
    return _Planter(mutation).plant(tree)


def changed(mutation: Mutation, text: str) -> str:
    """A module's ``text`` with the bug. Raises UbError if ``before`` is not in its
    function exactly once.
    """
    tree = ast.parse(text)
    planter = _Planter(mutation)
    found = planter.plant(tree)
    if found != 1:
        raise UbError(
            f"{mutation.function or 'the module'} of {mutation.file} has {found} "
            f"times: {mutation.before!r}",
            "bring tests/fuzz/mutations.toml up to date",
        )
    return ast.unparse(tree)


def apply(mutation: Mutation, package: Path) -> None:
    """Change a copy of the package. Raises UbError as ``changed`` does."""
    path = package / mutation.file
    path.write_text(changed(mutation, path.read_text("utf-8")), "utf-8")


class _Planter(ast.NodeTransformer):
    """Replaces in a tree what is equal to the fragment ``before``."""

    def __init__(self, mutation: Mutation) -> None:
        self._function = mutation.function
        self._found = 0
        before = _as_expression(mutation.before)
        after = _as_expression(mutation.after)
        # What becomes a statement, such as pass, is taken for a statement itself.
        self._expressions = (before, after) if before and after else None
        self._old: list[str] = []
        self._new: list[ast.stmt] = []
        if not self._expressions:
            self._old = _dumps(ast.parse(mutation.before).body)
            self._new = ast.parse(mutation.after).body

    def plant(self, tree: ast.Module) -> int:
        """Replace in ``tree``; how often ``before`` was there."""
        for scope in _scopes(tree, self._function):
            self.generic_visit(scope)
        return self._found

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if not self._expressions:
            for name in ("body", "orelse", "finalbody"):
                body = getattr(node, name, None)
                if isinstance(body, list):
                    self._replace(body)
        return node

    def visit(self, node: ast.AST) -> ast.AST:
        if self._expressions:
            before, after = self._expressions
            if type(node) is type(before) and ast.dump(node) == ast.dump(before):
                self._found += 1
                return after
        return self.generic_visit(node)

    def _replace(self, body: list[ast.stmt]) -> None:
        here, size = _dumps(body), len(self._old)
        starts = [
            start for start in range(len(here)) if here[start:][:size] == self._old
        ]
        self._found += len(starts)
        for start in reversed(starts):
            body[start : start + size] = self._new


def _as_expression(fragment: str) -> ast.expr | None:
    try:
        return ast.parse(f"({fragment}\n)", mode="eval").body
    except SyntaxError:
        return None


def _dumps(statements: list[ast.stmt]) -> list[str]:
    return [ast.dump(statement) for statement in statements]


def _scopes(tree: ast.Module, function: str) -> list[ast.AST]:
    """The functions or classes with this qualified name: one, or none."""
    found: list[ast.AST] = [tree]
    for name in filter(None, function.split(".")):
        found = [
            node for scope in found for node in _definitions(scope) if node.name == name
        ]
    return found


def _definitions(node: ast.AST) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """The functions and classes right in ``node``, not those inside of others."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.ClassDef):
            yield child
        else:
            yield from _definitions(child)


def sample(names: tuple[str, ...], turns: int) -> Iterator[Unit]:
    """Units of a fixed seed, of all kinds by turns."""
    forms = [iter(list(sample_of_form(name, 40, turns))) for name in names]
    # Neighbours in the list are much alike: take them from all over.
    order = sorted(range(len(forms)), key=lambda n: n * 0x9E3779B1 & 0xFFFFFFFF)
    singles = (next(forms[n]) for _ in range(turns) for n in order)
    programs = (Unit("region", "", seed, 60) for seed in range(60 * turns))
    for number, single in enumerate(singles):
        yield single
        yield Unit("mixed", "", number, 40)
        if number % 8 == 1:
            yield Unit("mixed", "", number, 40, trusted=True)
        if number % 8 == 5:
            yield Unit("mixed", "", number, 40, fred=True)
        if number % 2 == 0:
            yield Unit("dense", "", number, 40)
        if number % 25 == 0:
            yield from (unit for unit in (next(programs, None),) if unit)


def hunt(turns: int, look: tuple[str, ...]) -> str:
    """Run the sample until something is wrong; what, or nothing."""
    names = all_forms()
    near = [
        Unit(unit.kind, unit.name, unit.number, unit.states)
        for name in names
        if any(
            name.startswith(part) or (part == "CXZ" and part in name) for part in look
        )
        for unit in sample_of_form(name, 60, 8)
    ]
    pairs = [Unit("mixed", " ".join(look), number, 40) for number in range(150 * turns)]
    for unit in (*near, *(pairs if look else ()), *sample(names, turns)):
        outcome = run_unit(unit)
        if outcome.failure:
            return json.dumps([asdict(unit), outcome.failure])
    return ""


def _found(line: str) -> str:
    """What a hunt has found, in words. Raises UbError if the unit fails without any
    planted bug, too: then it is no proof.
    """
    made, failure = json.loads(line)
    unit = Unit(**made)
    with _ONE_AT_A_TIME:
        here = run_unit(unit).failure
    if here:
        raise UbError(
            f"the sample fails with nothing planted: {unit}: {here}",
            "mend that first",
        )
    return f"{unit}: {failure}"


def catch(mutation: Mutation, turns: int = 3, seconds: int = 900) -> Result:
    """Plant the bug in a copy and hunt for it in another process."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "ubypass"
        ignored = shutil.ignore_patterns("__pycache__", "*.so")
        shutil.copytree(_PACKAGE, copy, ignore=ignored)
        apply(mutation, copy)
        environment = {
            **os.environ,
            "PYTHONPATH": f"{folder}{os.pathsep}{_ROOT}",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        try:
            done = subprocess.run(
                [
                    *(sys.executable, "-m", "tests.fuzz.mutate"),
                    *("--hunt", str(turns), *_LOOK.get(Path(mutation.file).stem, ())),
                ],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=seconds,
            )
        except subprocess.TimeoutExpired:
            return Result(mutation, "", time.monotonic() - started)
    how = ""
    if done.returncode == _CAUGHT:
        how = _found(done.stdout.strip().splitlines()[-1])
    elif done.returncode != _SURVIVED:
        # The translator broke down altogether, or took this process with it.
        last = done.stderr.strip().splitlines()[-1:] or [f"status {done.returncode}"]
        how = f"breaks down: {last[0]}"
    return Result(mutation, how, time.monotonic() - started)


def kind_of(how: str) -> str:
    """In a word how a bug was caught."""
    if "verifier" in how:
        return "refused by the verifier"
    if "not translated" in how or "breaks down" in how:
        return "the translator breaks down"
    return "a difference"


def main() -> int:
    """Run all; 1 if fewer are caught than there should be."""
    parser = argparse.ArgumentParser(prog="mutate", description=__doc__)
    parser.add_argument("--hunt", type=int, metavar="TURNS", help=argparse.SUPPRESS)
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2) // 2))
    parser.add_argument("--turns", type=int, default=3, help="size of the sample")
    parser.add_argument("--seconds", type=int, default=900, help="most for one bug")
    parser.add_argument("only", nargs="*", help="words in the rule's or file's name")
    args = parser.parse_args()
    if args.hunt:
        how = hunt(args.hunt, tuple(args.only))
        print(how)
        return _CAUGHT if how else _SURVIVED
    chosen = [
        m
        for m in mutations()
        if not args.only or any(word in f"{m.file} {m.rule}" for word in args.only)
    ]
    results = []
    with ThreadPoolExecutor(args.jobs) as pool:
        for result in pool.map(lambda m: catch(m, args.turns, args.seconds), chosen):
            results.append(result)
            mark = "caught  " if result.how else "SURVIVED"
            print(
                f"{mark} {result.seconds:5.1f} s  {result.mutation.file}: "
                f"{result.mutation.rule}: {result.mutation.plants}",
                flush=True,
            )
            if result.how:
                print(f"            {result.how[:150]}", flush=True)
    return _summary(results)


def _summary(results: list[Result]) -> int:
    caught = [result for result in results if result.how]
    kinds = Counter(kind_of(result.how) for result in caught)
    rate = len(caught) / max(len(results), 1)
    rules = {result.mutation.rule for result in results}
    print(
        f"{len(results)} bugs planted in {len(rules)} rules, {len(caught)} caught: "
        f"{rate:.1%} ({', '.join(f'{n} by {kind}' for kind, n in kinds.items())})"
    )
    for result in results:
        if not result.how:
            print(f"survivor: {result.mutation.file}: {result.mutation.plants}")
    return 0 if rate >= _WANTED else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UbError as error:
        sys.exit(f"mutate: {error}")
