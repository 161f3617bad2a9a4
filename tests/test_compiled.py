# SPDX-License-Identifier: GPL-2.0-only
"""Compiled modules run only while they are what their sources say."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from tests.places import ROOT
from ubypass import compiled

_ANSWER = """
#define PY_SSIZE_T_CLEAN
#include <Python.h>
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "graph", NULL, -1};
PyMODINIT_FUNC PyInit_graph(void)
{
	PyObject *made = PyModule_Create(&module);
	PyModule_AddStringConstant(made, "ANSWER", "compiled");
	return made;
}
"""


class _Tree:
    """A package of this name with one module, which is compiled as well."""

    def __init__(self, root: Path) -> None:
        self.source = root / "src"
        self.module = self.source / "ubypass" / "region" / "graph.py"
        self.module.parent.mkdir(parents=True)
        package = ROOT / "src" / "ubypass"
        for name in "__init__.py", "compiled.py":
            text = (package / name).read_text("utf-8")
            (self.source / "ubypass" / name).write_text(text, "utf-8")
        (self.module.parent / "__init__.py").write_text("")
        self.module.write_text("ANSWER = 'source'\n")
        self.library = root / "build" / "compiled"
        made = self.library / "ubypass" / "region" / f"graph{EXTENSION_SUFFIXES[0]}"
        made.parent.mkdir(parents=True)
        code = root / "graph.c"
        code.write_text(_ANSWER)
        include = sysconfig.get_path("include")
        command = [
            "gcc",
            "-shared",
            "-fPIC",
            f"-I{include}",
            str(code),
            "-o",
            str(made),
        ]
        subprocess.run(command, check=True)
        self.record()

    def record(self) -> None:
        names = [self.module.relative_to(self.source)]
        text = compiled.record(self.source, names)
        (self.library / compiled.LIST).write_text(text, "utf-8")

    def answer(self, **more: str) -> tuple[str, str]:
        """Which of the two runs in a fresh Python, and what it says."""
        environment = {k: v for k, v in os.environ.items() if k != "UBYPASS_PURE"}
        # Python itself takes bytecode for current if second and size are the same.
        environment.update(
            more, PYTHONPATH=str(self.source), PYTHONDONTWRITEBYTECODE="1"
        )
        script = "from ubypass.region import graph; print(graph.ANSWER)"
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip(), done.stderr.strip()


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> _Tree:
    return _Tree(tmp_path_factory.mktemp("tree"))


def test_what_is_fresh_runs(tree: _Tree) -> None:
    tree.record()
    assert tree.answer() == ("compiled", "")


def _edited(tree: _Tree) -> None:
    tree.module.write_text("ANSWER = 'edited'\n")


def _edited_in_the_same_tick(tree: _Tree) -> None:
    before = tree.module.stat().st_mtime_ns
    tree.module.write_text("ANSWER = 'edited!'\n")
    os.utime(tree.module, ns=(before, before))


def _edited_to_the_same_size(tree: _Tree) -> None:
    tree.module.write_text("ANSWER = 'soUrce'\n")


def _for_another_python(tree: _Tree) -> None:
    file = tree.library / compiled.LIST
    file.write_text(file.read_text().replace(EXTENSION_SUFFIXES[0], ".cpython-27.so"))


def _half_written(tree: _Tree) -> None:
    file = tree.library / compiled.LIST
    file.write_text(file.read_text()[:-9])


@pytest.mark.parametrize(
    "change",
    [
        _edited,
        _edited_in_the_same_tick,
        _edited_to_the_same_size,
        _for_another_python,
        _half_written,
    ],
)
def test_what_is_not_runs_from_source_and_says_so(
    tree: _Tree, change: Callable[[_Tree], None]
) -> None:
    tree.module.write_text("ANSWER = 'source'\n")
    tree.record()
    assert tree.answer()[0] == "compiled"
    change(tree)
    answer, said = tree.answer()
    assert answer in tree.module.read_text()
    assert said.count("\n") == 0
    assert "make prepare" in said


def test_a_deleted_source_ends_it_for_the_others(tree: _Tree) -> None:
    other = tree.module.with_name("other.py")
    other.write_text("")
    tree.module.write_text("ANSWER = 'source'\n")
    names = [path.relative_to(tree.source) for path in (tree.module, other)]
    text = compiled.record(tree.source, names)
    (tree.library / compiled.LIST).write_text(text, "utf-8")
    assert tree.answer()[0] == "compiled"
    other.unlink()
    assert tree.answer()[0] == "source"


def test_the_same_contents_with_another_time_are_fresh(tree: _Tree) -> None:
    tree.module.write_text("ANSWER = 'source'\n")
    tree.record()
    os.utime(tree.module, ns=(1, 1))
    assert tree.answer() == ("compiled", "")


def test_going_without(tree: _Tree) -> None:
    tree.module.write_text("ANSWER = 'source'\n")
    tree.record()
    assert tree.answer(UBYPASS_PURE="1") == ("source", "")


def test_who_needs_none_does_not_look(tree: _Tree) -> None:
    _edited(tree)
    done = subprocess.run(
        [sys.executable, "-c", "import ubypass, ubypass.compiled"],
        env={**os.environ, "PYTHONPATH": str(tree.source)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""


def test_only_what_is_imported_compiled_is_compiled() -> None:
    """Of any other module there would be two, whose exceptions are not the same."""
    code = "import compile; print(*compile.sources())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT / "tools",
        capture_output=True,
        text=True,
        check=True,
    )
    parts = {Path(word).with_suffix("").parts[1] for word in done.stdout.split()}
    assert parts == compiled.PARTS


def test_there_is_one_exception_for_people() -> None:
    code = (
        "import ubypass.errors as first\n"
        "import ubypass.bench.replay as last\n"
        "assert first.UbError is last.UbError"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
