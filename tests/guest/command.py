# SPDX-License-Identifier: GPL-2.0-only
"""Run ``ub`` in the guest as a user does."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

__all__ = [
    "UB",
    "arena_used",
    "attached",
    "dispatched",
    "regions",
    "run_ub",
    "stats_lines",
]

UB = (sys.executable, "-m", "ubypass.cli.main")
_LIMIT = 300.0  # seconds, for what hangs
_STATS = "/sys/kernel/debug/ub/stats"


def run_ub(*arguments: str, user: int | None = None) -> dict[str, Any]:
    """Status and both outputs of ``ub``; with ``user`` not as root."""
    prefix = [] if user is None else ["setpriv", f"--reuid={user}", "--clear-groups"]
    done = subprocess.run(
        [*prefix, *UB, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_LIMIT,
    )
    return {
        "status": done.returncode,
        "stdout": done.stdout.splitlines(),
        "stderr": done.stderr.splitlines(),
    }


def regions() -> list[dict[str, int]]:
    """What the module tells of each region that has code, whoever loaded it."""
    words = [line.split() for line in stats_lines() if line.startswith("region")]
    return [dict(zip(line[::2], map(int, line[1::2]), strict=True)) for line in words]


def dispatched() -> int:
    """Calls dispatched from these."""
    return sum(region["dispatched"] for region in regions())


def attached() -> int:
    """How many processes are attached now, by anybody."""
    return _figure("attached")


def arena_used() -> int:
    """Bytes of the module's memory for code that are in use."""
    return _figure("arena_used")


def _figure(name: str) -> int:
    for line in stats_lines():
        if line.startswith(f"{name} "):
            return int(line.split()[1])
    raise LookupError(f"no line {name!r} in the module's statistics")


def stats_lines() -> list[str]:
    """What the module tells in debugfs."""
    with open(_STATS) as file:
        return file.read().splitlines()
