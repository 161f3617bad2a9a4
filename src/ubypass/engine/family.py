# SPDX-License-Identifier: GPL-2.0-only
"""Which children of attached processes are to be attached, and when.

A child is given a moment first: most are gone by then, or have become another
program. Knows processes by their numbers only; attaching is somebody else's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

__all__ = ["Family"]


@dataclass(frozen=True, slots=True)
class _Born:
    parent: int
    due: float


class Family:
    """``adopt(pid, parent)`` is called for each child that has lived ``settle``
    seconds; ``parent`` is the attachment that told of it. At most ``waiting``
    children are remembered: more at a time are short-lived ones.
    """

    def __init__(
        self,
        adopt: Callable[[int, int], None],
        *,
        settle: float = 0.05,
        waiting: int = 1024,
    ) -> None:
        self._adopt = adopt
        self._settle = settle
        self._most = waiting
        self._waiting: dict[int, _Born] = {}

    @property
    def due(self) -> float | None:
        """When :meth:`tick` wants to be called next."""
        return min((born.due for born in self._waiting.values()), default=None)

    def born(self, pids: Iterable[int], parent: int, now: float) -> None:
        """There are new processes, or such that run a new program."""
        for pid in pids:
            if pid in self._waiting or len(self._waiting) < self._most:
                self._waiting[pid] = _Born(parent, now + self._settle)

    def tick(self, now: float) -> None:
        """Adopt those whose time has come."""
        for pid in [pid for pid, born in self._waiting.items() if born.due <= now]:
            self._adopt(pid, self._waiting.pop(pid).parent)
