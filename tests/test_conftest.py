# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ubypass.lab.own import KERNEL_VARIABLE

_ROOT = Path(__file__).parent.parent
_WHERE = "-p", "tests.conftest", "-c", str(_ROOT / "pyproject.toml")

_TEST = """
import signal, subprocess, sys

def test_ends():
    child = subprocess.Popen(["sleep", "60"])
    child.send_signal(signal.{name})
    assert child.wait(30) == -signal.{name}
"""

_STOCK = """
import pytest

@pytest.mark.stock("for a reason")
def test_counts():
    assert False

def test_else():
    pass
"""

_BACKGROUND = """
import os, signal, sys
for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
os.execv(sys.executable, [sys.executable, "-m", "pytest", *sys.argv[1:]])
"""


def test_a_suite_in_the_background_can_end_its_programs(tmp_path: Path) -> None:
    for name in ("SIGINT", "SIGQUIT", "SIGHUP"):
        (tmp_path / f"test_{name.lower()}.py").write_text(_TEST.format(name=name))
    done = subprocess.run(
        [sys.executable, "-c", _BACKGROUND, *_WHERE, "-q", "-n0", str(tmp_path)],
        cwd=_ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_needs_a_stock_kernel_is_skipped_on_another(tmp_path: Path) -> None:
    (tmp_path / "test_stock.py").write_text(_STOCK)
    said = []
    for kernel in "", "/somewhere":
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *_WHERE, "-q", "-n0", str(tmp_path)],
            cwd=_ROOT,
            capture_output=True,
            text=True,
            env={**os.environ, KERNEL_VARIABLE: kernel},
        )
        said.append(done.stdout)
    assert "1 failed, 1 passed" in said[0]
    assert "1 passed, 1 skipped" in said[1]
    assert "needs a kernel as Debian builds it: for a reason" in said[1]
