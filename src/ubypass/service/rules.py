# SPDX-License-Identifier: GPL-2.0-only
"""Which rule a process is under, by what is known of it. Reads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

__all__ = ["Facts", "Rule", "first_match"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What rules ask about a process; ``start`` in clock ticks since boot.

    ``exe``: path of its program, "" for kernel threads; ``uid``: effective user, -1 if
    unknown; ``cgroup``: path of its control group; ``units`` and ``containers``: what
    that path tells.
    """

    pid: int
    start: int
    exe: str = ""
    uid: int = -1
    cgroup: str = ""
    units: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """All criteria that are given must hold; of each, one of its patterns.

    Patterns are those of shells (``*``, ``?``, ``[abc]``), and ``*`` matches slashes as
    well. ``uids`` is None if users do not matter. ``boost``: False leaves native what
    matches. ``children``: descendants are boosted as well, whatever they run.
    """

    name: str
    unit: tuple[str, ...] = ()
    cgroup: tuple[str, ...] = ()
    exe: tuple[str, ...] = ()
    container: tuple[str, ...] = ()
    uids: frozenset[int] | None = None
    boost: bool = True
    children: bool = False

    def matches(self, facts: Facts) -> bool:
        """Whether ``facts`` meet all criteria."""
        return (
            (self.uids is None or facts.uid in self.uids)
            and _meets(self.exe, (facts.exe,))
            and _meets(self.unit, facts.units)
            and _meets(self.cgroup, (facts.cgroup,))
            and _meets(self.container, facts.containers)
        )


def first_match(rules: Sequence[Rule], facts: Facts) -> Rule | None:
    """The first rule that the process meets; None for kernel threads and others."""
    if not facts.exe:
        return None
    return next((rule for rule in rules if rule.matches(facts)), None)


def _meets(patterns: Sequence[str], found: Sequence[str]) -> bool:
    return not patterns or any(
        fnmatchcase(name, pattern) for name in found for pattern in patterns
    )
