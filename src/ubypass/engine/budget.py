# SPDX-License-Identifier: GPL-2.0-only
"""What trials may cost a process: a share of the CPU time of each window.

A ledger, pure arithmetic; time and CPU time come in as arguments. A loan is booked in
full at once; when it is settled, its actual cost stays booked for one more window. So
the present bookings include all run time that loans can have used in the window that
ends now.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

__all__ = ["Budget", "Loan"]

#: Least seconds between two marks of CPU time.
_SPACING = 0.1


@dataclass(slots=True, eq=False)
class Loan:
    """``ns``: run time lent; ``free``: the part from the initial amount.

    ``settled``: when it was settled (s); ``ns`` is the actual cost then.
    """

    ns: float
    free: float = 0.0
    settled: float = math.inf


@dataclass(slots=True)
class Budget:
    """``share`` of the CPU time in each ``window`` (s) may be lent, and ``first`` ns.

    The latter once, so that regions of a new process can be tried. An infinite share:
    no limit.
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
        # The regular part shrinks while the process does not run.
        return max(0.0, self.share * self.used(now) - booked)

    def lend(
        self, now: float, ns: float, least: float = 1.0, *, fresh: bool = True
    ) -> Loan | None:
        """Lend up to ``ns``; None if fewer than ``least`` are left.

        Only a ``fresh`` region may use the initial amount.
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
        """The trial has ended and took ``cost`` ns: the rest is given back.

        The cost may exceed the loan, by the end of the last run.
        """
        back = max(0.0, loan.ns - cost)
        free = min(loan.free, max(0.0, back - (loan.ns - loan.free)))
        self.first += free
        loan.free -= free
        loan.ns = max(0.0, cost)
        loan.free = min(loan.free, loan.ns)
        loan.settled = now

    def charge(self, now: float, cost: float) -> None:
        """Book ``cost`` ns for which there was no loan."""
        if cost > 0:
            self._loans.append(Loan(cost, settled=now))
