# SPDX-License-Identifier: GPL-2.0-only
"""The same region gives the same bytes: in every process, compiled or not, in every
Python that is here.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import iced_x86
import pytest

import ubypass

_ROOT = Path(__file__).parents[2]
_PATHS = (
    Path(ubypass.__file__).parents[1],
    _ROOT,
    Path(iced_x86.__file__).parents[1],
)


@functools.cache
def _digest(python: str, seed: str, pure: str = "") -> str:
    environment = dict(os.environ, PYTHONHASHSEED=seed, UBYPASS_PURE=pure)
    # Another Python finds the libraries of this one: iced's are for all versions.
    environment["PYTHONPATH"] = os.pathsep.join(map(str, _PATHS))
    command = [python, "-m", "tests.translate.digest"]
    done = subprocess.run(
        command, cwd=_ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _others() -> list[str]:
    """Other Pythons that can run this."""
    found = []
    for minor in range(11, 20):
        python = shutil.which(f"python3.{minor}")
        if python is None or minor == sys.version_info.minor:
            continue
        probe = [python, "-c", "import sys; print(sys.version_info.minor)"]
        answer = subprocess.run(probe, capture_output=True, text=True)
        if answer.returncode == 0 and answer.stdout.strip() == str(minor):
            found.append(python)
    return found


def test_two_processes() -> None:
    assert _digest(sys.executable, "1") == _digest(sys.executable, "2")


def test_compiled_as_from_sources() -> None:
    assert _digest(sys.executable, "1") == _digest(sys.executable, "1", pure="1")


@pytest.mark.parametrize("python", _others())
def test_another_python(python: str) -> None:
    assert _digest(sys.executable, "1") == _digest(python, "1", pure="1")
