# SPDX-License-Identifier: GPL-2.0-only
"""Rests of gaps: traced paths from where runs ended for lack of code, to the next call.

A store of paths by their first address. A rest is rare as long as runs do not often end
there; frequent ones become part of the profile's traced paths.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container
from dataclasses import dataclass, field

from ubypass.device.types import Path

__all__ = ["Rests"]


@dataclass(slots=True)
class Rests:
    """Of one process.

    ``rare``: rests that are translated as code that seldom runs. ``dead_ends``: rests
    that stay native, since they have more than ``longest`` instructions that no other
    path has; misses there are expected. At most ``most`` of each.
    """

    longest: int = 512
    most: int = 128
    rare: dict[int, Path] = field(default_factory=dict)
    dead_ends: dict[int, Path] = field(default_factory=dict)

    @property
    def instructions(self) -> frozenset[int]:
        """Addresses of the instructions of all rare ones."""
        return frozenset(ip for path in self.rare.values() for ip in path.ips)

    def add(self, path: Path, known: Collection[int], *, may_end: bool) -> bool:
        """Add a rest; whether it is worth a build.

        ``known``: instructions of other paths. ``may_end``: whether a rest that is too
        long may become a dead end; otherwise it is ignored.
        """
        if path.ip in self.rare or path.ip in self.dead_ends:
            return False
        new = set(path.ips).difference(known, self.instructions)
        if len(new) > self.longest:
            if may_end and len(self.dead_ends) < self.most:
                self.dead_ends[path.ip] = path
            return False
        if not new or len(self.rare) >= self.most:
            return False
        self.rare[path.ip] = path
        return True

    def take(self, often: Container[int]) -> list[Path]:
        """Remove and return the rests whose first address is in ``often``."""
        found = []
        for paths in (self.rare, self.dead_ends):
            found += [paths.pop(ip) for ip in list(paths) if ip in often]
        return found

    def forget_unless(self, keep: Callable[[int], bool]) -> None:
        """Drop the rests that begin where ``keep`` is false."""
        self.rare = {ip: path for ip, path in self.rare.items() if keep(ip)}
        self.dead_ends = {ip: path for ip, path in self.dead_ends.items() if keep(ip)}

    def inherited(self) -> Rests:
        """A copy for a child that has the same code."""
        return Rests(self.longest, self.most, dict(self.rare), dict(self.dead_ends))
