# SPDX-License-Identifier: GPL-2.0-only
"""The open files of this process, to see whether a test leaves one open.

Compare sets, not numbers: threads and garbage of other tests may close files meanwhile.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

__all__ = ["open_files"]


def open_files() -> set[tuple[str, str]]:
    """Descriptors and what they refer to, such as ``("5", "socket:[1234]")``."""
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        # The descriptor of the directory is closed by now; others may be as well.
        with contextlib.suppress(OSError):
            found.add((link.name, os.readlink(link)))
    return {(number, name) for number, name in found if not name.endswith("/fd")}
