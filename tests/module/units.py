# SPDX-License-Identifier: GPL-2.0-only
"""The module's sources as units that use each other.

A unit is a header with the C or assembly file of the same name.
"""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["declared", "defined", "graph", "units"]

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_STRING = re.compile(r'"(?:\\.|[^"\\\n])*"')
_QUOTED = re.compile(r'^#include "(\w+)\.h"', re.MULTILINE)
_SYMBOL = re.compile(r"\bub_\w+")
_NOT_GLOBAL = r"^(?!static\b|extern\b|typedef\b|return\b)"
_FUNCTION = re.compile(
    _NOT_GLOBAL + r"[a-z_][\w *]*?\b(ub_\w+)\([^;{}]*\)\n\{", re.MULTILINE
)
_VARIABLE = re.compile(
    _NOT_GLOBAL + r"[a-z_][\w *]*[ *](ub_\w+)(?:\[\w+\])*(?: =|;)", re.MULTILINE
)
_MADE_BY_MACRO = re.compile(
    r"^(?:DEFINE_(?:PER_CPU|MUTEX|HASHTABLE)|LIST_HEAD)\((?:[^,]*, )??(ub_\w+)[,)]",
    re.MULTILINE,
)
_ASSEMBLY = re.compile(r"^SYM_(?:FUNC_START|DATA|ENTRY)\((ub_\w+)", re.MULTILINE)
_PROTOTYPE = re.compile(
    r"^(?!static\b|typedef\b|#)[a-z_][\w *]*?\b(ub_\w+)\([^;{}]*\);", re.MULTILINE
)
_EXTERN = re.compile(
    r"^extern\b[^;{]*?(?:\{[^}]*\}[^;]*?)?\b(ub_\w+)(?:\[[^]]*\])*;", re.MULTILINE
)
_PER_CPU = re.compile(r"^DECLARE_PER_CPU\([^,]*, (ub_\w+)\)", re.MULTILINE)


def _code(path: Path) -> str:
    """The file without comments and texts."""
    return _STRING.sub('""', _COMMENT.sub(" ", path.read_text("utf-8")))


def units(folder: Path) -> dict[str, list[Path]]:
    """Files of each unit, by its name."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix in (".c", ".h", ".S"):
            found.setdefault(path.stem, []).append(path)
    return found


def defined(paths: list[Path]) -> set[str]:
    """Symbols that the linker sees."""
    found: set[str] = set()
    for path in paths:
        if path.suffix == ".c":
            for pattern in (_FUNCTION, _VARIABLE, _MADE_BY_MACRO):
                found.update(pattern.findall(_code(path)))
        elif path.suffix == ".S":
            found.update(_ASSEMBLY.findall(_code(path)))
    return found


def declared(paths: list[Path]) -> set[str]:
    """Symbols that the unit's header declares."""
    found: set[str] = set()
    for path in paths:
        if path.suffix == ".h":
            for pattern in (_PROTOTYPE, _EXTERN, _PER_CPU):
                found.update(pattern.findall(_code(path)))
    return found


def graph(folder: Path) -> dict[str, set[str]]:
    """What each unit uses of the others."""
    all_units = units(folder)
    owner = {name: unit for unit, paths in all_units.items() for name in defined(paths)}
    found: dict[str, set[str]] = {}
    for unit, paths in all_units.items():
        uses: set[str] = set()
        for path in paths:
            uses.update(_QUOTED.findall(path.read_text("utf-8")))
            symbols = _SYMBOL.findall(_code(path))
            uses.update(owner[name] for name in symbols if name in owner)
        found[unit] = (uses & all_units.keys()) - {unit}
    return found
