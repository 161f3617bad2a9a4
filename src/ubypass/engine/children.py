# SPDX-License-Identifier: GPL-2.0-only
"""Which children of attached processes to attach, and when.

A child is attached after a delay only: most have ended by then, or run another program.
Depends on process numbers only; the caller attaches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

__all__ = ["Children"]


@dataclass(frozen=True, slots=True)
class _Pending:
    parent: int
    due: float


class Children:
    """Calls ``attach(pid, parent)`` for each child that has lived ``settle`` seconds.

    ``parent``: the attachment that reported it. At most ``pending`` children wait:
    where there are more at a time, they are short-lived.
    """

    def __init__(
        self,
        attach: Callable[[int, int], None],
        *,
        settle: float = 0.05,
        pending: int = 1024,
    ) -> None:
        self._attach = attach
        self._settle = settle
        self._limit = pending
        self._pending: dict[int, _Pending] = {}

    @property
    def due(self) -> float | None:
        """When :meth:`tick` has to be called next; None: no child waits."""
        return min((child.due for child in self._pending.values()), default=None)

    def add(self, pids: Iterable[int], parent: int, now: float) -> None:
        """These processes are new, or run a new program."""
        for pid in pids:
            if pid in self._pending or len(self._pending) < self._limit:
                self._pending[pid] = _Pending(parent, now + self._settle)

    def tick(self, now: float) -> None:
        """Attach the children that are due."""
        for pid in [pid for pid, child in self._pending.items() if child.due <= now]:
            self._attach(pid, self._pending.pop(pid).parent)
