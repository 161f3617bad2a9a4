# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ubypass.errors import UbError
from ubypass.native import build


@pytest.fixture(autouse=True)
def _fresh() -> None:
    build.library.cache_clear()


def test_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = build.library()
    assert first.is_file()
    assert first.is_relative_to(tmp_path)
    when = first.stat().st_mtime_ns
    build.library.cache_clear()
    assert build.library().stat().st_mtime_ns == when


def test_keeps_its_hands_off_vector_registers() -> None:
    """They hold the state of the code under test while this code runs."""
    text = subprocess.run(
        ["objdump", "-d", str(build.library())],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "xrstor" in text
    assert "%xmm" not in text
    assert "%ymm" not in text
    assert "%fs:" not in text


def test_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UbError, match="gcc not found"):
        build.library()
