# SPDX-License-Identifier: GPL-2.0-only
"""What processes are at that do not end: whether they hang, or hardly get to run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

__all__ = ["describe"]

_NS = 1e-9
_MOST = 40  # threads that are described


def describe(pid: int) -> str:
    """Lines on the threads of a process and of its descendants; none if it is gone.

    Of each its state, the time it has run and the time it has waited for a processor
    since it began, in seconds, and, for root, where it is in the kernel.
    """
    lines: list[str] = []
    for task in _tasks(pid):
        if len(lines) == _MOST:
            lines.append("and others")
            break
        with contextlib.suppress(OSError):
            lines.append(_line(task))
    return "\n".join(lines)


def _tasks(pid: int) -> Iterator[Path]:
    """The directories in /proc of all these threads."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = stat.read_text().rpartition(") ")[2].split()[1]
            children.setdefault(int(parent), []).append(int(stat.parent.name))
    left = [pid]
    while left:
        found = left.pop(0)
        left += children.get(found, [])
        with contextlib.suppress(OSError):
            yield from sorted(Path(f"/proc/{found}/task").iterdir())


def _line(task: Path) -> str:
    name, _, rest = (task / "stat").read_text().partition("(")[2].rpartition(") ")
    ran, waited, _ = map(int, (task / "schedstat").read_text().split())
    stack = ""
    with contextlib.suppress(OSError):
        frames = (task / "stack").read_text().splitlines()
        stack = " < ".join(frame.partition("] ")[2] for frame in frames)
    state = rest.split()[0]
    return (
        f"{task.name} {name}: state {state}, ran {ran * _NS:.2f} s, "
        f"waited {waited * _NS:.2f} s, in {stack or 'user mode'}"
    )
