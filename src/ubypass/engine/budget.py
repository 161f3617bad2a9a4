# SPDX-License-Identifier: GPL-2.0-only
"""What trying may cost a process: a share of the CPU time of each window.

A ledger, pure arithmetic; time and CPU time come in as arguments. What is lent for a
trial is booked in full at once, and stays booked until a window after the loan was
settled, with what it came to. So the bookings that count now hold all run time
that loans can have taken in the window that ends now.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

__all__ = ["Budget", "Loan"]

#: Seconds between two marks of CPU time at least.
_SPACING = 0.1


@dataclass(slots=True, eq=False)
class Loan:
    """``ns`` of run time that were lent, ``free`` of them from what each gets once.

    ``settled``: when it was (s), and ``ns`` then is what it came to.
    """

    ns: float
    free: float = 0.0
    settled: float = math.inf


@dataclass(slots=True)
class Budget:
    """``share`` of the CPU time in each ``window`` (s) may be lent, and ``first`` ns
    once, so that a fresh process can be tried. A share of infinity: no limit.
    """

    share: float = 2.0**-12
    window: float = 10.0
    first: float = 1_000_000.0
    _marks: deque[tuple[float, int]] = field(default_factory=deque)
    _latest: int = 0
    _loans: list[Loan] = field(default_factory=list)

    def observe(self, now: float, cpu_ns: int) -> None:
        """The process has used ``cpu_ns`` of CPU time in all up to ``now`` (s)."""
        self._latest = max(self._latest, cpu_ns)
        if not self._marks or now - self._marks[-1][0] >= _SPACING:
            self._marks.append((now, self._latest))
        while self._marks and self._marks[0][0] < now - self.window:
            self._marks.popleft()

    def used(self, now: float) -> int:
        """CPU time (ns) known to lie in the window that ends ``now``."""
        since = next((cpu for at, cpu in self._marks if at >= now - self.window), None)
        return 0 if since is None else self._latest - since

    def left(self, now: float) -> float:
        """What may be lent now, in ns."""
        return self._regular(now) + self.first

    def _regular(self, now: float) -> float:
        if math.isinf(self.share):
            return math.inf
        self._loans = [x for x in self._loans if x.settled > now - self.window]
        booked = sum(loan.ns - loan.free for loan in self._loans)
        # The less when the process has come to a rest since.
        return max(0.0, self.share * self.used(now) - booked)

    def lend(
        self, now: float, ns: float, least: float = 1.0, *, fresh: bool = True
    ) -> Loan | None:
        """Book up to ``ns``; None if there are not even ``least``.

        What each process gets once is for what is ``fresh``.
        """
        regular = self._regular(now)
        amount = min(ns, regular + (self.first if fresh else 0.0))
        if amount < least:
            return None
        loan = Loan(amount, max(0.0, amount - regular))
        self.first -= loan.free
        self._loans.append(loan)
        return loan

    def settle(self, loan: Loan, now: float, cost: float) -> None:
        """The trial is over and took ``cost`` ns: the rest is given back.

        It may be more than was lent, by the end of the last run.
        """
        back = max(0.0, loan.ns - cost)
        free = min(loan.free, max(0.0, back - (loan.ns - loan.free)))
        self.first += free
        loan.free -= free
        loan.ns = max(0.0, cost)
        loan.free = min(loan.free, loan.ns)
        loan.settled = now

    def charge(self, now: float, cost: float) -> None:
        """Something cost ``cost`` ns that nothing was lent for."""
        if cost > 0:
            self._loans.append(Loan(cost, settled=now))
