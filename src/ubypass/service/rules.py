# SPDX-License-Identifier: GPL-2.0-only
"""The rule that applies to a process, by its facts. Pure: reads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

__all__ = ["Facts", "Rule", "first_match"]


@dataclass(frozen=True, slots=True)
class Facts:
    """The properties of a process in rules; ``start`` in clock ticks since boot.

    ``exe``: path of its program, "" for kernel threads; ``uid``: effective user, -1 if
    unknown; ``cgroup``: path of its control group; ``units`` and ``containers``: names
    from that path; ``labels``: of its containers, ``key=value``, if a rule needs them.
    """

    pid: int
    start: int
    exe: str = ""
    uid: int = -1
    cgroup: str = ""
    units: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule matches if all given criteria hold; a criterion holds if one pattern does.

    Patterns are shell patterns (``*``, ``?``, ``[abc]``); ``*`` also matches slashes.
    ``uids``: None matches all users. ``boost``: False keeps matching processes native.
    ``children``: descendants are boosted too, whatever they run. ``trust``: what
    matches itself is a trusted program (docs/security.md).
    """

    name: str
    unit: tuple[str, ...] = ()
    cgroup: tuple[str, ...] = ()
    exe: tuple[str, ...] = ()
    container: tuple[str, ...] = ()
    label: tuple[str, ...] = ()
    uids: frozenset[int] | None = None
    boost: bool = True
    children: bool = False
    trust: bool = False

    def matches(self, facts: Facts) -> bool:
        """Whether ``facts`` meet all criteria."""
        return (
            (self.uids is None or facts.uid in self.uids)
            and _meets(self.exe, (facts.exe,))
            and _meets(self.unit, facts.units)
            and _meets(self.cgroup, (facts.cgroup,))
            and _meets(self.container, facts.containers)
            and _meets(self.label, facts.labels)
        )


def first_match(rules: Sequence[Rule], facts: Facts) -> Rule | None:
    """The first rule that matches; None for kernel threads, and if no rule matches."""
    if not facts.exe:
        return None
    return next((rule for rule in rules if rule.matches(facts)), None)


def _meets(patterns: Sequence[str], found: Sequence[str]) -> bool:
    return not patterns or any(
        fnmatchcase(name, pattern) for name in found for pattern in patterns
    )
