# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parent.parent

_TEST = """
import signal, subprocess, sys

def test_ends():
    child = subprocess.Popen(["sleep", "60"])
    child.send_signal(signal.{name})
    assert child.wait(30) == -signal.{name}
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
    where = ["-p", "tests.conftest", "-c", str(_ROOT / "pyproject.toml")]
    done = subprocess.run(
        [sys.executable, "-c", _BACKGROUND, *where, "-q", "-n0", str(tmp_path)],
        cwd=_ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
