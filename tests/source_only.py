# SPDX-License-Identifier: GPL-2.0-only
"""Run tests on the sources where there are compiled modules.

For tests that reach into a module: compiled functions call each other directly.
"""

from __future__ import annotations

import os
import subprocess
import sys
from types import ModuleType

from tests.places import ROOT


def is_source(module: ModuleType) -> bool:
    """Whether ``module`` was loaded from its source."""
    return str(module.__file__).endswith(".py")


def rerun(test: str) -> None:
    """Run ``test`` (``FILE::NAME``) on the sources; fails as it does."""
    command = [sys.executable, "-m", "pytest", "-q", test]
    environment = {**os.environ, "UBYPASS_PURE": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
