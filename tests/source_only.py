# SPDX-License-Identifier: GPL-2.0-only
"""Run tests on the sources where compiled modules lie next to them.

``python -m tests.source_only ARGUMENTS`` is pytest with ARGUMENTS, on the sources. For
tests that reach into a module: compiled functions call each other directly.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType

_ROOT = Path(__file__).parents[1]
_PACKAGE = _ROOT / "src" / "ubypass"


def is_source(module: ModuleType) -> bool:
    """Whether ``module`` was loaded from its source."""
    return str(module.__file__).endswith(".py")


def use_sources() -> None:
    """From now on import ubypass' modules from their sources."""
    plain = FileFinder.path_hook((SourceFileLoader, SOURCE_SUFFIXES))

    def hook(path: str) -> object:
        if not Path(path).is_relative_to(_PACKAGE):
            raise ImportError
        return plain(path)

    sys.path_hooks.insert(0, hook)  # type: ignore[arg-type]
    sys.path_importer_cache.clear()


def rerun(test: str) -> None:
    """Run ``test`` (``FILE::NAME``) on the sources; fails as it does."""
    command = [sys.executable, "-m", "tests.source_only", "-q", test]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


if __name__ == "__main__":
    import pytest

    use_sources()
    sys.exit(pytest.main(sys.argv[1:]))
