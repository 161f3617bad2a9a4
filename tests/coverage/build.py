# SPDX-License-Identifier: GPL-2.0-only
"""Small libraries to measure."""

from __future__ import annotations

import subprocess
from pathlib import Path


def shared(source: str, folder: Path) -> Path:
    """A shared library made of AT&T assembly."""
    text = folder / "source.s"
    text.write_text(source)
    done = folder / "library.so"
    subprocess.run(
        ["gcc", "-nostdlib", "-shared", "-o", done, text], check=True, timeout=60
    )
    return done
