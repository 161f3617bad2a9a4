# SPDX-License-Identifier: GPL-2.0-only
"""What this machine's processor can do, as the kernel tells.

For code that is going to run here. The verifier reads it again on its own.
"""

from __future__ import annotations

import functools
from pathlib import Path

__all__ = ["features"]

_CPUINFO = Path("/proc/cpuinfo")


@functools.cache
def features() -> frozenset[str]:
    """Names from ``flags`` of ``/proc/cpuinfo``; none where that cannot be read."""
    try:
        text = _CPUINFO.read_text("ascii", "replace")
    except OSError:
        return frozenset()
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "flags":
            return frozenset(value.split())
    return frozenset()
