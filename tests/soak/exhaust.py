# SPDX-License-Identifier: GPL-2.0-only
"""A control group without memory: the OOM killer ends the processes that are put in."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

__all__ = ["exhaust"]

_ROOT = Path("/sys/fs/cgroup")
_GROUP = "soak-exhausted"
_LOOK = 0.01  # seconds


def exhaust(pids: list[int], seconds: float, root: Path = _ROOT) -> int:
    """Put processes into the group, and back after ``seconds``; how many were killed.

    A process is killed when it needs a page: what it has already stays with the group
    that it comes from. ``root``: a mounted cgroup2. Raises OSError.
    """
    group = _group(root)
    before = _killed(group)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # it has ended
            (group / "cgroup.procs").write_text(str(pid))
    deadline = time.monotonic() + seconds
    while (left := _members(group)) and time.monotonic() < deadline:
        time.sleep(_LOOK)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            (root / "cgroup.procs").write_text(str(pid))
    return _killed(group) - before


def _group(root: Path) -> Path:
    group = root / _GROUP
    (root / "cgroup.subtree_control").write_text("+memory")
    with contextlib.suppress(FileExistsError):
        group.mkdir()
    (group / "memory.max").write_text("0")
    return group


def _members(group: Path) -> list[int]:
    return [int(row) for row in (group / "cgroup.procs").read_text().split()]


def _killed(group: Path) -> int:
    rows = (group / "memory.events").read_text().splitlines()
    return next(int(row.split()[1]) for row in rows if row.startswith("oom_kill "))
