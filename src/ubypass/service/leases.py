# SPDX-License-Identifier: GPL-2.0-only
"""Processes that clients, ``ub run`` and ``ub attach``, want boosted while they wait.

Rules, limits and pauses of the service apply to them as to all others. Bookkeeping
only: the supervisor attaches and detaches.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ubypass.engine.summary import Summary
from ubypass.errors import UbError
from ubypass.process.status import ProcessId
from ubypass.service.rules import Facts, Rule

__all__ = ["REQUEST_RULE", "Lease", "Leases"]

#: Stands for a rule's name in the journal and in figures; no rule can have this name.
REQUEST_RULE = "+request"

_SUMMARIES = 256  # of a lease; those of its latest processes
#: Bytes of their notes in a message: with the figures it stays below what a connection
#: keeps for a client.
_NOTES = 256 << 10


class Lease:
    """The wish that ``processes`` be boosted until it is withdrawn.

    ``children``: their descendants as well. ``tell`` takes messages for the client.
    """

    def __init__(
        self,
        processes: Sequence[ProcessId],
        *,
        children: bool = False,
        started_ns: int = 0,
        tell: Callable[[Mapping[str, Any]], None] = lambda message: None,
    ) -> None:
        self.processes = tuple(processes)
        #: An object of its own, which marks attached descendants as this lease's.
        self.rule = Rule(REQUEST_RULE, children=children)
        #: When the program started (CLOCK_MONOTONIC), or 0.
        self.started_ns = started_ns
        #: Whether it was withdrawn, and only its figures are still wanted.
        self.ended = False
        self._tell = tell
        self._told: Mapping[str, Any] = {}
        self._summaries: deque[Summary] = deque(maxlen=_SUMMARIES)
        self._ended_processes = 0

    @property
    def last_state(self) -> Any:
        """The state that the client was told last, or None."""
        return self._told.get("state")

    def tell(self, message: Mapping[str, Any]) -> None:
        """Send the client a message, unless it is the last one again."""
        if message != self._told:
            self._told = message
            self._tell(message)

    def add(self, summary: Summary) -> None:
        """Keep the figures of a process that is not attached any more."""
        self._summaries.append(summary)
        self._ended_processes += 1

    def figures(self) -> dict[str, Any]:
        """Figures for the client: ``processes``, and the number of those left out.

        Only the latest notes are in it.
        """
        processes = [summary.as_json() for summary in self._summaries]
        left = _NOTES
        for each in reversed(processes):
            kept = []
            for note in reversed(each["notes"]):
                left -= len(json.dumps(note))
                if left < 0:
                    break
                kept.append(note)
            each["notes"] = kept[::-1]
        return {
            "processes": processes,
            "left_out": self._ended_processes - len(self._summaries),
        }


class Leases:
    """All leases; a process has one at most."""

    def __init__(self) -> None:
        self._leases: dict[Lease, None] = {}
        self._by_pid: dict[int, tuple[int, Lease]] = {}  # with the start

    def __iter__(self) -> Iterator[Lease]:
        return iter(tuple(self._leases))

    def __len__(self) -> int:
        return len(self._leases)

    def add(self, lease: Lease) -> None:
        """Raises ``UbError`` if there is one for a process already."""
        for process in lease.processes:
            if self.of(process.pid, process.start) is not None:
                raise UbError(
                    f"process {process.pid} ({process.name}) is already boosted for "
                    "another ub run or ub attach",
                    "'ub stats' shows it",
                )
        self._leases[lease] = None
        for process in lease.processes:
            self._by_pid[process.pid] = process.start, lease

    def remove(self, lease: Lease) -> None:
        """Forget it; nothing happens if it is not there."""
        self._leases.pop(lease, None)
        for process in lease.processes:
            if self._by_pid.get(process.pid) == (process.start, lease):
                del self._by_pid[process.pid]

    def of(self, pid: int, start: int) -> Lease | None:
        """The lease of that process itself."""
        found = self._by_pid.get(pid)
        return found[1] if found is not None and found[0] == start else None

    def rule(self, facts: Facts) -> Rule | None:
        """The rule that stands for the lease of that process; None if it has none."""
        lease = self.of(facts.pid, facts.start)
        return None if lease is None or lease.ended else lease.rule

    def covering(self, process: ProcessId, rule: Rule) -> Lease | None:
        """The lease that an attached process belongs to, attached by ``rule``."""
        own = self.of(process.pid, process.start)
        return own or next((each for each in self._leases if each.rule is rule), None)

    def is_live(self, rule: Rule) -> bool:
        """Whether ``rule`` stands for a lease that was not withdrawn."""
        return any(each.rule is rule and not each.ended for each in self._leases)

    def inheritable(self, pid: int) -> Rule | None:
        """The rule for descendants of ``pid``, if it has a lease that covers them.

        For the PID of a process that is attached now.
        """
        found = self._by_pid.get(pid)
        if found is None or found[1].ended or not found[1].rule.children:
            return None
        return found[1].rule
