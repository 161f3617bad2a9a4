# SPDX-License-Identifier: GPL-2.0-only
"""What this machine's processor can do, as the kernel tells.

For code that is going to run here. The verifier reads it again on its own.
"""

from __future__ import annotations

import functools
from pathlib import Path

__all__ = ["describe", "features", "vendor"]

_CPUINFO = Path("/proc/cpuinfo")


@functools.cache
def features() -> frozenset[str]:
    """Names from ``flags`` of ``/proc/cpuinfo``; none where that cannot be read."""
    return frozenset(_first().get("flags", "").split())


def vendor() -> str:
    """As CPUID says it, ``GenuineIntel`` or ``AuthenticAMD``; "" if not known."""
    return _first().get("vendor_id", "")


def describe() -> str:
    """Name, vendor, family and model, for people and for notes on measurements."""
    first = _first()
    name = " ".join(first.get("model name", "unknown processor").split())
    family, model = first.get("cpu family", "?"), first.get("model", "?")
    return f"{name} ({vendor() or '?'}, family {family}, model {model})"


def _first() -> dict[str, str]:
    """What ``/proc/cpuinfo`` says of the first processor."""
    try:
        text = _CPUINFO.read_text("ascii", "replace")
    except OSError:
        return {}
    found: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            break
        name, _, value = line.partition(":")
        found[name.strip()] = value.strip()
    return found
