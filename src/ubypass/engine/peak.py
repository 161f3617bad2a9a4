# SPDX-License-Identifier: GPL-2.0-only
"""How much memory this process has used at most."""

from __future__ import annotations

__all__ = ["peak_bytes"]


def peak_bytes() -> int:
    """Peak resident set of this process in bytes (VmHWM); 0 if unknown.

    Not ``getrusage``: its maximum survives exec and so may be the parent's.
    """
    try:
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
