# SPDX-License-Identifier: GPL-2.0-only
"""Uses compiled modules if they were made from exactly the present sources.

``tools/compile.py`` puts the modules into ``build/compiled`` of a checkout, with a list
of their source files. They call each other directly, not through Python, so either all
or none are used: if one source differs, the sources run. The check is made at the first
import of one of them and costs nothing otherwise. ``UBYPASS_PURE=1`` disables them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, ModuleSpec
from pathlib import Path
from types import ModuleType

__all__ = ["LIST", "PARTS", "Finder", "fresh", "record", "use"]

#: The compiled modules and packages of ubypass; all others are imported as usual.
PARTS = frozenset({"abi", "region", "translate", "verify", "words"})

#: The file beside the compiled modules that lists their sources.
LIST = "sources.json"

_STALE = (
    "ubypass: sources have changed since they were compiled and run uncompiled, "
    "slower; 'make prepare' compiles them\n"
)


def use(source: Path, library: Path) -> None:
    """Import from ``library`` the modules compiled from ``source``, if permitted."""
    if (library / LIST).is_file() and not os.environ.get("UBYPASS_PURE"):
        sys.meta_path.insert(0, Finder(source, library))


def record(source: Path, files: Iterable[Path]) -> str:
    """Contents of ``LIST``: ``files``, relative to ``source``, in their present state.

    To be called before compiling, so that a change during compilation is detected.
    """
    import json
    from hashlib import sha256

    sources = {}
    for file in files:
        status = (source / file).stat()
        digest = sha256((source / file).read_bytes()).hexdigest()
        sources[str(file)] = [status.st_size, status.st_mtime_ns, digest]
    return json.dumps({"suffix": EXTENSION_SUFFIXES[0], "sources": sources}, indent=1)


def fresh(source: Path, library: Path) -> bool:
    """Whether this Python can use ``library`` and it was made from ``source``.

    A file with the recorded size and time counts as unchanged; any other file, as after
    a fresh clone, is read and compared.
    """
    import json
    from hashlib import sha256

    try:
        known = json.loads((library / LIST).read_text("utf-8"))
        if known["suffix"] != EXTENSION_SUFFIXES[0]:
            return False
        for name, (size, mtime, digest) in known["sources"].items():
            status = (source / name).stat()
            if (status.st_size, status.st_mtime_ns) == (size, mtime):
                continue
            if sha256((source / name).read_bytes()).hexdigest() != digest:
                return False
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return True


class Finder:
    """Finds compiled modules for Python's import system."""

    def __init__(self, source: Path, library: Path) -> None:
        self._source = source
        self._library = library
        self._files: dict[str, str] | None = None

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """The spec of the compiled module ``name``; None if there is none to use."""
        if self._files is None:
            parts = name.split(".")
            if parts[0] != "ubypass" or parts[1:2] == [] or parts[1] not in PARTS:
                return None
            self._files = self._usable()
        file = self._files.get(name)
        if file is None:
            return None
        loader = ExtensionFileLoader(name, file)
        return ModuleSpec(name, loader, origin=file)

    def _usable(self) -> dict[str, str]:
        if not fresh(self._source, self._library):
            sys.stderr.write(_STALE)
            return {}
        suffix = EXTENSION_SUFFIXES[0]
        found = {}
        for file in self._library.rglob(f"*{suffix}"):
            relative = str(file.relative_to(self._library)).removesuffix(suffix)
            found[relative.replace(os.sep, ".")] = str(file)
        return found
