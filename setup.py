# SPDX-License-Identifier: GPL-2.0-only
"""Compiled wheels, on request; pyproject.toml says all else.

    UBYPASS_COMPILE=1 pip wheel --no-deps .

makes a wheel for the Python that runs pip, whose translator is compiled: about three
times faster, for this version of Python and this machine only. Without the variable the
wheel is pure Python. What ``make`` has compiled for this Python is taken if its sources
are still the same; else all is compiled, which takes minutes.
"""

from __future__ import annotations

import os
import shutil
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

_WANTED = os.environ.get("UBYPASS_COMPILE") == "1"
# As in "compile" of pyproject.toml. An isolated build is asked first what it needs.
_COMPILER = ["mypy>=1.10"]
_SOURCE, _LIBRARY = Path("src"), Path("build") / "compiled"


class _Taken(build_ext):
    """Takes what was compiled before."""

    def build_extension(self, extension: Extension) -> None:
        place = Path(self.get_ext_fullpath(extension.name))
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(_library(extension.name), place)


def _library(name: str) -> Path:
    return _LIBRARY / f"{name.replace('.', '/')}{EXTENSION_SUFFIXES[0]}"


def _compiled() -> dict[str, Any]:
    sys.path[:0] = ["src", "tools"]
    from compile import extensions, ready, sources

    if (names := ready(_SOURCE, _LIBRARY)) is not None:
        return {
            "ext_modules": [Extension(name, []) for name in names],
            "cmdclass": {"build_ext": _Taken},
        }
    return {
        "ext_modules": extensions(
            [_SOURCE / path for path in sources()], Path("build") / "wheel"
        ),
        "options": {"build_ext": {"parallel": os.cpu_count() or 1}},
    }


options: dict[str, Any] = {"setup_requires": _COMPILER} if _WANTED else {}
# Not for editable installations, where compiled modules would hide changed sources.
if _WANTED and "bdist_wheel" in sys.argv:
    options |= _compiled()
setup(**options)
