# SPDX-License-Identifier: GPL-2.0-only
"""The peak resident set size of this process."""

from __future__ import annotations

__all__ = ["peak_rss_bytes"]


def peak_rss_bytes() -> int:
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
