# SPDX-License-Identifier: GPL-2.0-only
"""Whether the module declines all threads of a process, and when to ask it again.

Times are seconds and come in as arguments.
"""

from __future__ import annotations

import math

from ubypass.device.uapi import Decline

__all__ = ["Eligibility"]


class Eligibility:
    """The eligibility of one process: asked after ``first``, and while it is declined.

    The time between two requests grows up to ``longest``.
    """

    def __init__(self, first: float, longest: float) -> None:
        self._first = first
        self._longest = longest
        self._interval = first
        self._due: float | None = None
        self._declined_for = Decline.NONE

    @property
    def due(self) -> float | None:
        """When the module has to be asked next; None: not before an event."""
        return self._due

    @property
    def declined_for(self) -> Decline:
        """Why all threads are declined at present; NONE: they are not."""
        return self._declined_for

    def attached(self, now: float) -> None:
        """The process was attached: its threads are known after a delay."""
        self._due = now + self._interval

    def update(self, declined_for: Decline, now: float) -> bool:
        """Take in why the module declines all threads; whether a decline has ended."""
        before, self._declined_for = self._declined_for, declined_for
        if declined_for:
            self._due = min(self._due or math.inf, now + self._interval)
        return bool(before) and not declined_for

    def asked(self, now: float) -> None:
        """The due request was made, and :meth:`update` has its answer."""
        if self._declined_for:
            self._interval = min(self._longest, self._interval * 1.5)
            self._due = now + self._interval
        else:
            self._interval = self._first
            self._due = None
